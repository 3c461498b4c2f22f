{{/* What objects are called, and how they are labelled. */}}

{{- define "vitrail.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 letters, so that what is hung on to it stays within 63. */}}
{{- define "vitrail.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vitrail.headless" -}}{{ include "vitrail.fullname" . }}-headless{{- end -}}
{{- define "vitrail.admin" -}}{{ include "vitrail.fullname" . }}-admin{{- end -}}
{{- define "vitrail.triton" -}}{{ include "vitrail.fullname" . }}-triton{{- end -}}
{{- define "vitrail.settings" -}}{{ include "vitrail.fullname" . }}-settings{{- end -}}
{{- define "vitrail.scripts" -}}{{ include "vitrail.fullname" . }}-scripts{{- end -}}

{{/* The Service that Prometheus asks. */}}
{{- define "vitrail.metricsService" -}}
{{- if .Values.security.adminPort.enabled }}{{ include "vitrail.admin" . }}{{ else }}{{ include "vitrail.fullname" . }}{{ end -}}
{{- end -}}

{{- define "vitrail.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vitrail.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "vitrail.claim" -}}
{{- default (printf "%s-models" (include "vitrail.fullname" .)) .Values.repository.claim.existing -}}
{{- end -}}

{{/* What finds the pods of a component; never changes in the life of a release. Takes a list: root, component. */}}
{{- define "vitrail.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "vitrail.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes a list: root, component. */}}
{{- define "vitrail.labels" -}}
{{- $root := index . 0 -}}
{{ include "vitrail.selector" . }}
app.kubernetes.io/part-of: vitrail
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of pods: nothing that a new release of the chart alone would change, and with it restart them. */}}
{{- define "vitrail.podLabels" -}}
{{ include "vitrail.selector" . }}
app.kubernetes.io/part-of: vitrail
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a list: root, the name of an image in values.images. */}}
{{- define "vitrail.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- if $image.digest -}}
{{- printf "%s%s@%s" $image.repository (empty $image.tag | ternary "" (printf ":%s" $image.tag)) $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}
