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

{{/* A way to the ports of triton.address: to anywhere by itself, for a policy knows no names. */}}
{{- define "vitrail.mayReachTritonElsewhere" -}}
{{- $ports := list -}}
{{- range splitList "," .Values.triton.address -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
- ports:
    {{- range uniq $ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.triton }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* A peer: the pods of a component. Takes a list: root, component. */}}
{{- define "vitrail.podsOf" -}}
- podSelector:
    matchLabels:
      {{- include "vitrail.selector" . | nindent 6 }}
{{- end -}}
