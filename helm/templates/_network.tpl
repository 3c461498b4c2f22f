{{/* Parts of network policies. Ports are numbers, for not every network plugin knows the names. */}}

{{- define "vitrail.policyHead" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "vitrail.fullname" $root }}-{{ index . 1 }}
  labels:
    {{- include "vitrail.labels" (list $root (index . 1)) | nindent 4 }}
{{- end -}}

{{- define "vitrail.mayResolve" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* A peer: the pods of a component. Takes a list: root, component. */}}
{{- define "vitrail.podsOf" -}}
- podSelector:
    matchLabels:
      {{- include "vitrail.selector" . | nindent 6 }}
{{- end -}}
