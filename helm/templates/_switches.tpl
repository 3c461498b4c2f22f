{{/* Questions that more than one template asks; each gives "true" or nothing. */}}

{{/* The chart runs a Triton of its own. */}}
{{- define "vitrail.runsTriton" -}}
{{- if and (eq .Values.engine "triton") .Values.triton.enabled }}true{{ end -}}
{{- end -}}

{{/* The gateway asks a Triton that is not, or not only, the chart's. */}}
{{- define "vitrail.tritonElsewhere" -}}
{{- if and (eq .Values.engine "triton") .Values.triton.address }}true{{ end -}}
{{- end -}}

{{/* Each pod fetches the models for itself. */}}
{{- define "vitrail.fetches" -}}
{{- if ne .Values.repository.source "claim" }}true{{ end -}}
{{- end -}}

{{- define "vitrail.tls" -}}
{{- if .Values.security.tls.secret }}true{{ end -}}
{{- end -}}

{{/* Probes must bring a certificate, which the kubelet cannot. */}}
{{- define "vitrail.mutualTls" -}}
{{- if and .Values.security.tls.secret .Values.security.tls.verifyClients }}true{{ end -}}
{{- end -}}

{{/* Takes the `autoscaling` of a component. */}}
{{- define "vitrail.autoscaled" -}}
{{- if or .hpa.enabled .keda.enabled }}true{{ end -}}
{{- end -}}

{{- define "vitrail.gatewayKind" -}}
{{- if .Values.videos.persistent }}StatefulSet{{ else }}Deployment{{ end -}}
{{- end -}}

{{/* How Prometheus names what this release's gateways give. */}}
{{- define "vitrail.series" -}}
namespace="{{ .Release.Namespace }}",service="{{ include "vitrail.metricsService" . }}"
{{- end -}}

{{- define "vitrail.tritonSeries" -}}
namespace="{{ .Release.Namespace }}",service="{{ include "vitrail.triton" . }}"
{{- end -}}
