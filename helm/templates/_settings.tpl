{{/* The variables of the service that are no secrets. */}}
{{- define "vitrail.settingsData" -}}
VITRAIL_REPOSITORY: /models
VITRAIL_VIDEOS: /videos
VITRAIL_HOST: {{ .Values.gateway.listenAddress | quote }}
VITRAIL_PORT: {{ include "vitrail.port.http" . | quote }}
VITRAIL_GRPC_PORT: {{ include "vitrail.port.grpc" . | quote }}
{{- with .Values.gateway.trustedProxies }}
FORWARDED_ALLOW_IPS: {{ join "," . | quote }}
{{- end }}
VITRAIL_ENGINE: {{ .Values.engine }}
{{- if eq .Values.engine "triton" }}
VITRAIL_TRITON_URL: {{ include "vitrail.tritonUrl" . }}
{{- end }}
VITRAIL_DRAIN_DELAY_S: {{ .Values.drain.delay | toJson | quote }}
VITRAIL_DRAIN_TIMEOUT_S: {{ .Values.drain.timeout | toJson | quote }}
# Less than the volume: a pod that fills it is evicted.
VITRAIL_VIDEO_DISK_BYTES: {{ mulf .Values.videos.sizeGi 1073741824 0.8 | floor | int64 | quote }}
{{- if .Values.security.adminPort.enabled }}
VITRAIL_ADMIN_PORT: {{ include "vitrail.port.admin" . | quote }}
{{- end }}
{{- if .Values.security.keys.secret }}
VITRAIL_KEYS_FILE: /etc/vitrail/keys/{{ .Values.security.keys.key }}
{{- end }}
{{- if include "vitrail.tls" . }}
VITRAIL_TLS_CERTIFICATE: /etc/vitrail/tls/tls.crt
VITRAIL_TLS_KEY: /etc/vitrail/tls/tls.key
{{- end }}
{{- if include "vitrail.mutualTls" . }}
VITRAIL_TLS_CLIENT_CA: /etc/vitrail/tls/ca.crt
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if not (kindIs "invalid" $value) }}
VITRAIL_{{ upper $name }}: {{ include "vitrail.settingText" $value }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A setting as the service reads it from a variable: text as it is, lists by commas, all else as JSON. */}}
{{- define "vitrail.settingText" -}}
{{- if kindIs "string" . -}}
{{- . | quote -}}
{{- else if kindIs "slice" . -}}
{{- join "," . | quote -}}
{{- else -}}
{{- toJson . | quote -}}
{{- end -}}
{{- end -}}
