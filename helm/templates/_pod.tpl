{{/* What all pods have in common: Pod Security "restricted", and where they run. */}}

{{- define "vitrail.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.userId }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
fsGroup: {{ . | int64 }}
# Volumes of many files are not walked through at every start.
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "vitrail.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- with .Values.userId }}
runAsUser: {{ . | int64 }}
{{- end }}
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The head of every pod's spec. */}}
{{- define "vitrail.podBasics" -}}
serviceAccountName: {{ include "vitrail.serviceAccount" . }}
automountServiceAccountToken: false
# A Service called vitrail would else set VITRAIL_PORT in every pod beside it.
enableServiceLinks: false
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "vitrail.podSecurity" . | nindent 2 }}
{{- end -}}

{{/* Where a GPU pod runs: Triton and the builds for it alike. */}}
{{- define "vitrail.gpuPlace" -}}
{{- with .Values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Resources with the GPUs among them. Takes a list: root, resources. */}}
{{- define "vitrail.gpuResources" -}}
{{- $gpu := (index . 0).Values.gpu -}}
{{- $resources := deepCopy (index . 1) -}}
{{- range $part := list "requests" "limits" -}}
{{- $_ := set $resources $part (merge (dict $gpu.resource ($gpu.count | int)) (default dict (get $resources $part))) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "vitrail.gatewayPlace" -}}
{{- with .Values.gateway.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.gateway.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of pods that serve. Takes a list: root, their own tolerations. */}}
{{- define "vitrail.tolerations" -}}
{{- $seconds := (index . 0).Values.lostNodeSeconds -}}
{{- if or (index . 1) (not (kindIs "invalid" $seconds)) -}}
tolerations:
  {{- with index . 1 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if not (kindIs "invalid" $seconds) }}
  {{- range $condition := list "not-ready" "unreachable" }}
  - {key: node.kubernetes.io/{{ $condition }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ int $seconds }}}
  {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Replicas apart, by zone and by node. Takes a list: root, component, its values, the label of its revision. */}}
{{- define "vitrail.spread" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index . 2 -}}
{{- $revision := index . 3 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    nodeTaintsPolicy: Honor
    # The pods of a rollout are spread without regard to those that they replace.
    matchLabelKeys: [{{ $revision }}]
    labelSelector:
      matchLabels:
        {{- include "vitrail.selector" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}
