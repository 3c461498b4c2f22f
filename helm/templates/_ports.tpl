{{/* The ports within the pods: those of the image, and Triton's own. */}}
{{- define "vitrail.port.http" -}}8000{{- end -}}
{{- define "vitrail.port.grpc" -}}8001{{- end -}}
{{- define "vitrail.port.admin" -}}8002{{- end -}}
{{- define "vitrail.port.tritonHttp" -}}8000{{- end -}}
{{- define "vitrail.port.tritonGrpc" -}}8001{{- end -}}
{{- define "vitrail.port.tritonMetrics" -}}8002{{- end -}}

{{/* Where the gateway finds Triton. */}}
{{- define "vitrail.tritonUrl" -}}
{{- if .Values.triton.address -}}
{{- .Values.triton.address -}}
{{- else -}}
dns:///{{ include "vitrail.triton" . }}.{{ .Release.Namespace }}.svc:{{ include "vitrail.port.tritonGrpc" . }}
{{- end -}}
{{- end -}}

{{/* The metrics are at the admin port where there is one. */}}
{{- define "vitrail.metricsPort" -}}
{{- if .Values.security.adminPort.enabled }}admin{{ else }}http{{ end -}}
{{- end -}}
