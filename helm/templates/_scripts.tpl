{{/* The programs that pods run beside the service. */}}
{{- define "vitrail.scriptsData" -}}
take_archive.py: |
  {{- .Files.Get "files/take_archive.py" | nindent 2 }}
ask_health.py: |
  {{- .Files.Get "files/ask_health.py" | nindent 2 }}
{{- end -}}
