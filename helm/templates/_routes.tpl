{{/* Ways in from outside. */}}

{{/* Takes a list: root, the ingress's values, its name, the Service's port. */}}
{{- define "vitrail.ingress" -}}
{{- $root := index . 0 -}}
{{- $ingress := index . 1 -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ index . 2 }}
  labels:
    {{- include "vitrail.labels" (list $root "gateway") | nindent 4 }}
  {{- with $ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with $ingress.tlsSecret }}
  tls:
    - secretName: {{ . }}
      hosts:
        {{- toYaml $ingress.hosts | nindent 8 }}
  {{- end }}
  rules:
    {{- $port := index . 3 }}
    {{- range $ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "vitrail.fullname" $root }}
                port: {name: {{ $port }}}
    {{- end }}
{{- end -}}

{{/* Takes a list: root, the kind, the route's values, its name, the Service's port. */}}
{{- define "vitrail.route" -}}
{{- $root := index . 0 -}}
{{- $route := index . 2 -}}
apiVersion: gateway.networking.k8s.io/v1
kind: {{ index . 1 }}
metadata:
  name: {{ index . 3 }}
  labels:
    {{- include "vitrail.labels" (list $root "gateway") | nindent 4 }}
  {{- with $route.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  parentRefs:
    {{- toYaml $route.parentRefs | nindent 4 }}
  {{- with $route.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - backendRefs:
        - name: {{ include "vitrail.fullname" $root }}
          port: {{ index . 4 | int }}
          weight: {{ $route.weight | int }}
        {{- range $route.otherBackends }}
        - name: {{ .name }}
          port: {{ .port | int }}
          weight: {{ .weight | int }}
        {{- end }}
{{- end -}}
