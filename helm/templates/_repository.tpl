{{/* The model repository in a pod: a claim, or an archive that is fetched and proved first. */}}

{{/* Takes whether this pod may write. */}}
{{- define "vitrail.repositoryMount" -}}
{name: models, mountPath: /models{{ if not . }}, readOnly: true{{ end }}}
{{- end -}}

{{- define "vitrail.repositoryVolumes" -}}
{{- if include "vitrail.fetches" . -}}
- name: models
  emptyDir:
    sizeLimit: {{ .Values.repository.archive.size }}
- name: download
  emptyDir:
    sizeLimit: {{ .Values.repository.archive.size }}
- name: fetch-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if and (eq .Values.repository.source "oci") .Values.repository.oci.registrySecret }}
- name: registry
  secret:
    secretName: {{ .Values.repository.oci.registrySecret }}
    defaultMode: 0440
    items:
      - key: .dockerconfigjson
        path: config.json
{{- end }}
{{- else -}}
- name: models
  persistentVolumeClaim:
    # Read-only by the mount: some drivers attach a volume one way only, and a build writes to it.
    claimName: {{ include "vitrail.claim" . }}
{{- end }}
{{- end -}}

{{/* Fetch, then prove and unpack; nothing for a claim. */}}
{{- define "vitrail.repositoryInit" -}}
{{- if include "vitrail.fetches" . -}}
initContainers:
  {{- if eq .Values.repository.source "oci" }}
  {{- include "vitrail.fetchArtifact" . | nindent 2 }}
  {{- else }}
  {{- include "vitrail.fetchObject" . | nindent 2 }}
  {{- end }}
  {{- include "vitrail.takeArchive" . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "vitrail.fetchArtifact" -}}
{{- $oci := .Values.repository.oci -}}
- name: fetch
  image: {{ include "vitrail.image" (list . "oras") }}
  imagePullPolicy: {{ .Values.images.oras.pullPolicy }}
  args:
    - pull
    - --no-tty
    - --output=/download
    {{- if $oci.registrySecret }}
    - --registry-config=/etc/registry/config.json
    {{- end }}
    - {{ $oci.reference | quote }}
  {{- include "vitrail.fetchConfinement" . | nindent 2 }}
    {{- if $oci.registrySecret }}
    - name: registry
      mountPath: /etc/registry
      readOnly: true
    {{- end }}
{{- end -}}

{{- define "vitrail.fetchObject" -}}
{{- $store := .Values.repository.objectStorage -}}
- name: fetch
  image: {{ include "vitrail.image" (list . "rclone") }}
  imagePullPolicy: {{ .Values.images.rclone.pullPolicy }}
  args: [copyto, --retries=5, {{ $store.path | quote }}, /download/{{ include "vitrail.archive" . }}]
  env:
    - {name: RCLONE_CONFIG, value: /tmp/rclone.conf}
    {{- range $name, $value := $store.variables }}
    - {name: {{ $name }}, value: {{ $value | quote }}}
    {{- end }}
  {{- with $store.secret }}
  envFrom:
    - secretRef: {name: {{ . }}}
  {{- end }}
  {{- include "vitrail.fetchConfinement" . | nindent 2 }}
{{- end -}}

{{- define "vitrail.fetchConfinement" -}}
resources:
  {{- toYaml .Values.repository.resources | nindent 2 }}
securityContext:
  {{- include "vitrail.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: download, mountPath: /download}
  - {name: fetch-tmp, mountPath: /tmp}
{{- end -}}

{{/* The archive's file name. */}}
{{- define "vitrail.archive" -}}
{{- if eq .Values.repository.source "oci" }}{{ .Values.repository.oci.file }}{{ else }}{{ base .Values.repository.objectStorage.path }}{{ end -}}
{{- end -}}

{{- define "vitrail.takeArchive" -}}
- name: take
  image: {{ include "vitrail.image" (list . "gateway") }}
  imagePullPolicy: {{ .Values.images.gateway.pullPolicy }}
  command: [python, /scripts/take_archive.py, /download/{{ include "vitrail.archive" . }}, {{ .Values.repository.archive.sha256 | quote }}, /models]
  resources:
    {{- toYaml .Values.repository.resources | nindent 4 }}
  securityContext:
    {{- include "vitrail.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: download, mountPath: /download}
    - {name: models, mountPath: /models}
    - {name: scripts, mountPath: /scripts, readOnly: true}
{{- end -}}
