{{/* Takes a list: root, component, its name, its values. */}}
{{- define "vitrail.disruptionBudget" -}}
{{- $root := index . 0 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ index . 2 }}
  labels:
    {{- include "vitrail.labels" (list $root (index . 1)) | nindent 4 }}
spec:
  maxUnavailable: {{ (index . 3).maxUnavailable }}
  # A pod that is not ready serves nobody: it may always be evicted.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "vitrail.selector" (list $root (index . 1)) | nindent 6 }}
{{- end -}}
