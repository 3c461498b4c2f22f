{{/* The gateway's pod, the same in a Deployment and in a StatefulSet. Takes a list: root, the label of its revision. */}}
{{- define "vitrail.gatewayPod" -}}
{{- $root := index . 0 -}}
{{- $revision := index . 1 -}}
{{- with $root -}}
metadata:
  labels:
    {{- include "vitrail.podLabels" (list . "gateway") | nindent 4 }}
    {{- with .Values.gateway.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A change of what is read at the start only is a rollout.
    checksum/settings: {{ include "vitrail.settingsData" . | sha256sum }}
    {{- if or (include "vitrail.fetches" .) (include "vitrail.mutualTls" .) }}
    checksum/scripts: {{ include "vitrail.scriptsData" . | sha256sum }}
    {{- end }}
    {{- with .Values.gateway.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "vitrail.podBasics" . | nindent 2 }}
  {{- with include "vitrail.gatewayPlace" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "vitrail.tolerations" (list . .Values.gateway.tolerations) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "vitrail.spread" (list . "gateway" .Values.gateway $revision) }}
  {{- . | nindent 2 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ include "vitrail.gatewayGrace" . }}
  {{- with include "vitrail.repositoryInit" . }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: gateway
      image: {{ include "vitrail.image" (list . "gateway") }}
      imagePullPolicy: {{ .Values.images.gateway.pullPolicy }}
      ports:
        - {name: http, containerPort: {{ include "vitrail.port.http" . }}}
        - {name: grpc, containerPort: {{ include "vitrail.port.grpc" . }}}
        {{- if .Values.security.adminPort.enabled }}
        - {name: admin, containerPort: {{ include "vitrail.port.admin" . }}}
        {{- end }}
      envFrom:
        - configMapRef: {name: {{ include "vitrail.settings" . }}}
      {{- with .Values.security.adminKey }}
      {{- if .secret }}
      env:
        - name: VITRAIL_ADMIN_KEY
          valueFrom:
            secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
      {{- end }}
      {{- end }}
      {{- include "vitrail.gatewayProbes" . | nindent 6 }}
      {{- if .Values.drain.preStop }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ .Values.drain.preStop | int }}}
      {{- end }}
      resources:
        {{- toYaml .Values.gateway.resources | nindent 8 }}
      securityContext:
        {{- include "vitrail.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {{ include "vitrail.repositoryMount" .Values.repository.writable }}
        - {name: videos, mountPath: /videos}
        - {name: tmp, mountPath: /tmp}
        {{- if .Values.security.keys.secret }}
        # The folder, not the file: so that a new key comes in without a restart.
        - {name: keys, mountPath: /etc/vitrail/keys, readOnly: true}
        {{- end }}
        {{- if include "vitrail.tls" . }}
        - {name: tls, mountPath: /etc/vitrail/tls, readOnly: true}
        {{- end }}
        {{- if include "vitrail.mutualTls" . }}
        - {name: client-tls, mountPath: /etc/vitrail/client-tls, readOnly: true}
        - {name: scripts, mountPath: /scripts, readOnly: true}
        {{- end }}
  volumes:
    {{- include "vitrail.repositoryVolumes" . | nindent 4 }}
    {{- include "vitrail.gatewayVolumes" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "vitrail.gatewayVolumes" -}}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.gateway.tmpSize }}
{{- if not .Values.videos.persistent }}
- name: videos
  emptyDir:
    sizeLimit: {{ .Values.videos.sizeGi | int }}Gi
{{- end }}
{{- if .Values.security.keys.secret }}
- name: keys
  secret:
    secretName: {{ .Values.security.keys.secret }}
    defaultMode: 0440
{{- end }}
{{- if include "vitrail.tls" . }}
- name: tls
  secret:
    secretName: {{ .Values.security.tls.secret }}
    defaultMode: 0440
{{- end }}
{{- if include "vitrail.mutualTls" . }}
- name: client-tls
  secret:
    secretName: {{ .Values.security.tls.clientSecret }}
    defaultMode: 0440
{{- end }}
{{- if or (include "vitrail.fetches" .) (include "vitrail.mutualTls" .) }}
- name: scripts
  configMap:
    name: {{ include "vitrail.scripts" . }}
{{- end }}
{{- end -}}

{{/* Seconds that a pod may take to end. */}}
{{- define "vitrail.gatewayGrace" -}}
{{- $drain := .Values.drain -}}
{{- addf $drain.preStop $drain.delay $drain.timeout $drain.margin | ceil | int -}}
{{- end -}}

{{/* Alive is not ready: a gateway that loads its models or drains is to be left alone. */}}
{{- define "vitrail.gatewayProbes" -}}
startupProbe:
  {{- include "vitrail.gatewayAsks" (list . "/healthz") | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ divf .Values.gateway.startupSeconds 2 | ceil | int }}
readinessProbe:
  {{- include "vitrail.gatewayAsks" (list . "/readyz") | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
livenessProbe:
  {{- include "vitrail.gatewayAsks" (list . "/healthz") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  # A minute: to restart a gateway because it has much to do makes it worse for the others.
  failureThreshold: 6
{{- end -}}

{{/* Takes a list: root, path. */}}
{{- define "vitrail.gatewayAsks" -}}
{{- $root := index . 0 -}}
{{- if include "vitrail.mutualTls" $root -}}
exec:
  command: [python, /scripts/ask_health.py, {{ index . 1 | quote }}]
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- if include "vitrail.tls" $root }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{- end -}}
