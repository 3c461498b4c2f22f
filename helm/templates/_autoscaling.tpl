{{/* What autoscalers ask, and how quickly they act. */}}

{{/* Quick up, slow down: a new replica loads its models before it helps. Takes the `autoscaling` of a component. */}}
{{- define "vitrail.scalingBehaviour" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - {type: Percent, value: 100, periodSeconds: 30}
    - {type: Pods, value: 2, periodSeconds: 30}
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownSeconds | int }}
  selectPolicy: Max
  policies:
    - {type: Percent, value: {{ .scaleDownPercent | int }}, periodSeconds: 60}
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}

{{/* A target as a quantity of Kubernetes: 0.05 is 50m. */}}
{{- define "vitrail.milli" -}}{{ mulf . 1000 | ceil | int64 }}m{{- end -}}

{{/* Each figure below is that of one replica, over the last `windowSeconds`, at most `mostTimesTarget` times its target: a
     replica that is swamped calls for as much help as one that is full. Each takes a list: what selects the series, what
     to group by, the `autoscaling` of the component. */}}
{{- define "vitrail.clamped" -}}
clamp_max({{ index . 0 }}, {{ mulf (index . 1) (index . 2).mostTimesTarget }})
{{- end -}}

{{/* The 95th percentile of what images wait for: a decoder, a place in a batch. 0 where none was answered. */}}
{{- define "vitrail.queueWaitQuery" -}}
{{- $match := index . 0 -}}
{{- $by := index . 1 -}}
{{- $scaling := index . 2 -}}
{{- $buckets := printf "rate(vitrail_stage_seconds_bucket{%s,stage=\"queue\"}[%ds])" $match (int $scaling.windowSeconds) -}}
{{- $none := printf "0 * sum by (%s) (vitrail_images_in_flight{%s})" $by $match -}}
{{- $wait := printf "(histogram_quantile(0.95, sum by (%s, le) (%s)) >= 0) or %s" $by $buckets $none -}}
{{- include "vitrail.clamped" (list $wait $scaling.queueWaitSeconds $scaling) -}}
{{- end -}}

{{- define "vitrail.inFlightQuery" -}}
{{- $scaling := index . 2 -}}
{{- $mean := printf "sum by (%s) (avg_over_time(vitrail_images_in_flight{%s}[%ds]))" (index . 1) (index . 0) (int $scaling.windowSeconds) -}}
{{- include "vitrail.clamped" (list $mean $scaling.imagesInFlight $scaling) -}}
{{- end -}}

{{/* The mean wait of a request in Triton. 0 where none was answered. */}}
{{- define "vitrail.tritonQueueQuery" -}}
{{- $match := index . 0 -}}
{{- $by := index . 1 -}}
{{- $scaling := index . 2 -}}
{{- $waited := printf "sum by (%s) (rate(nv_inference_queue_duration_us{%s}[%ds]))" $by $match (int $scaling.windowSeconds) -}}
{{- $answered := printf "sum by (%s) (rate(nv_inference_request_success{%s}[%ds]))" $by $match (int $scaling.windowSeconds) -}}
{{- $none := printf "0 * sum by (%s) (nv_inference_request_success{%s})" $by $match -}}
{{- $wait := printf "(%s / 1e6 / %s >= 0) or %s" $waited $answered $none -}}
{{- include "vitrail.clamped" (list $wait $scaling.queueWaitSeconds $scaling) -}}
{{- end -}}

{{- define "vitrail.adapterResources" -}}
{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
{{- end -}}
