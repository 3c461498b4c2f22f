{{/* A pod of `helm test`. Takes a list: root, name, script, the URL or address that it asks. */}}
{{- define "vitrail.testPod" -}}
{{- $name := index . 1 -}}
{{- $script := index . 2 -}}
{{- $target := index . 3 -}}
{{- with index . 0 -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "vitrail.fullname" . }}-test-{{ $name }}
  labels:
    {{- include "vitrail.labels" (list . "test") | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  activeDeadlineSeconds: {{ .Values.tests.timeoutSeconds | int }}
  {{- include "vitrail.podBasics" . | nindent 2 }}
  containers:
    - name: test
      image: {{ include "vitrail.image" (list . "gateway") }}
      imagePullPolicy: {{ .Values.images.gateway.pullPolicy }}
      command: [python, /scripts/{{ $script }}, {{ $target | quote }}]
      env:
        - {name: TASK, value: {{ .Values.tests.task }}}
        {{- if include "vitrail.tls" . }}
        - {name: CA_FILE, value: /tls/ca.crt}
        {{- end }}
        {{- if include "vitrail.mutualTls" . }}
        - {name: CLIENT_CERTIFICATE, value: /client-tls/tls.crt}
        - {name: CLIENT_KEY, value: /client-tls/tls.key}
        {{- end }}
        {{- if .Values.tests.keySecret }}
        - {name: KEY_FILE, value: /key/{{ .Values.tests.key }}}
        {{- end }}
      resources:
        requests: {cpu: 100m, memory: 128Mi}
        limits: {cpu: 500m, memory: 256Mi}
      securityContext:
        {{- include "vitrail.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: scripts, mountPath: /scripts, readOnly: true}
        {{- if include "vitrail.tls" . }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- end }}
        {{- if include "vitrail.mutualTls" . }}
        - {name: client-tls, mountPath: /client-tls, readOnly: true}
        {{- end }}
        {{- if .Values.tests.keySecret }}
        - {name: key, mountPath: /key, readOnly: true}
        {{- end }}
  volumes:
    - name: scripts
      configMap:
        name: {{ include "vitrail.fullname" . }}-test-scripts
    {{- if include "vitrail.tls" . }}
    # Its certificate only: a test has no use for the key.
    - name: tls
      secret:
        secretName: {{ .Values.security.tls.secret }}
        defaultMode: 0440
        # A certificate of a public authority comes without.
        optional: true
        items:
          - {key: ca.crt, path: ca.crt}
    {{- end }}
    {{- if include "vitrail.mutualTls" . }}
    - name: client-tls
      secret:
        secretName: {{ .Values.security.tls.clientSecret }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.tests.keySecret }}
    - name: key
      secret:
        secretName: {{ .Values.tests.keySecret }}
        defaultMode: 0440
    {{- end }}
{{- end -}}
{{- end -}}

{{/* Takes a list: root, host, port. */}}
{{- define "vitrail.testUrl" -}}
{{- $root := index . 0 -}}
{{ if include "vitrail.tls" $root }}https{{ else }}http{{ end }}://{{ index . 1 }}.{{ $root.Release.Namespace }}.svc:{{ index . 2 }}
{{- end -}}
