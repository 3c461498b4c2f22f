{{/* The pod of a build. Takes a list: root, the job's values, whether it has a GPU. No label here has a version, for the
     Job's name is made of its content. */}}
{{- define "vitrail.buildPod" -}}
{{- $job := index . 1 -}}
{{- $gpu := index . 2 -}}
{{- with index . 0 -}}
metadata:
  labels:
    {{- include "vitrail.selector" (list . "build") | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "vitrail.podBasics" . | nindent 2 }}
  {{- with ternary .Values.gpu.tolerations .Values.gateway.tolerations $gpu }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include ($gpu | ternary "vitrail.gpuPlace" "vitrail.gatewayPlace") . }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: build
      image: {{ include "vitrail.image" (list . "builder") }}
      imagePullPolicy: {{ .Values.images.builder.pullPolicy }}
      args:
        {{- range $job.args }}
        - {{ . | quote }}
        {{- end }}
        - --repository=/models
      env:
        - {name: XDG_CACHE_HOME, value: /cache}
      resources:
        {{- if $gpu }}
        {{- include "vitrail.gpuResources" (list . .Values.build.resources) | nindent 8 }}
        {{- else }}
        {{- toYaml .Values.build.resources | nindent 8 }}
        {{- end }}
      securityContext:
        {{- include "vitrail.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: models, mountPath: /models}
        - {name: cache, mountPath: /cache}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: models
      persistentVolumeClaim:
        claimName: {{ include "vitrail.claim" . }}
    - name: cache
      {{- if .Values.build.cacheClaim }}
      persistentVolumeClaim:
        claimName: {{ .Values.build.cacheClaim }}
      {{- else }}
      emptyDir:
        sizeLimit: {{ .Values.build.cacheSize }}
      {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.build.cacheSize }}
{{- end -}}
{{- end -}}
