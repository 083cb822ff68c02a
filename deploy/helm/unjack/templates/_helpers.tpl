{{/* The labels that select the pods of a release. */}}
{{- define "unjack.selector" -}}
app.kubernetes.io/name: unjack
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "unjack.labels" -}}
{{ include "unjack.selector" . }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The path of the web configuration in the container. */}}
{{- define "unjack.webConfigFile" -}}
/etc/unjack-web/{{ .Values.webConfig.key }}
{{- end }}

{{/* http or https, as the endpoint speaks. */}}
{{- define "unjack.scheme" -}}
{{- if and .Values.webConfig.existingSecret .Values.webConfig.tls }}https{{ else }}http{{ end }}
{{- end }}

{{/*
What a probe does with a web configuration, as JSON. Takes the root and a path. It
asks only where it gets an answer; otherwise it opens a connection, because a
probe that is refused restarts the pod for ever.
*/}}
{{- define "unjack.webProbe" -}}
{{- $web := (index . 0).Values.webConfig }}
{{- if or $web.clientCertificates (and $web.passwords (not $web.probeAuthorization)) }}
{{- dict "port" "metrics" | dict "tcpSocket" | toJson }}
{{- else }}
{{- $get := dict "path" (index . 1) "port" "metrics" "scheme" (include "unjack.scheme" (index . 0) | upper) }}
{{- with $web.probeAuthorization }}
{{- $_ := set $get "httpHeaders" (list (dict "name" "Authorization" "value" .)) }}
{{- end }}
{{- dict "httpGet" $get | toJson }}
{{- end }}
{{- end }}

{{/*
A monitor's endpoint. Takes the root and the values of the monitor. The label
instance is the node's name: a pod's name changes with every update.
*/}}
{{- define "unjack.endpoint" -}}
{{- $root := index . 0 }}
{{- $monitor := index . 1 }}
{{- $own := list (dict "sourceLabels" (list "__meta_kubernetes_pod_node_name") "targetLabel" "instance") }}
{{- if $root.Values.pools }}
{{- $own = append $own (dict "sourceLabels" (list "__meta_kubernetes_pod_label_app_kubernetes_io_component") "targetLabel" "node_pool") }}
{{- end }}
port: metrics
path: {{ $root.Values.settings.UNJACK_WEB_TELEMETRY_PATH | default "/metrics" }}
scheme: {{ include "unjack.scheme" $root }}
{{- with $monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with $monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with $monitor.tlsConfig }}
tlsConfig: {{ toJson . }}
{{- end }}
{{- with $monitor.basicAuth }}
basicAuth: {{ toJson . }}
{{- end }}
relabelings: {{ concat $own $monitor.relabelings | toJson }}
{{- with $monitor.metricRelabelings }}
metricRelabelings: {{ toJson . }}
{{- end }}
{{- end }}

{{/* What the schema cannot say: values that contradict each other. */}}
{{- define "unjack.check" -}}
{{- $web := .Values.webConfig }}
{{- $file := hasKey .Values.settings "UNJACK_WEB_CONFIG_FILE" }}
{{- $names := dict }}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if or (hasKey $.Values.labels $key) (hasKey $.Values.podLabels $key) }}
{{- fail (printf "labels, podLabels: the chart sets %s, which selects the pods" $key) }}
{{- end }}
{{- end }}
{{- range $key, $_ := .Values.podLabels }}
{{- if hasKey $.Values.labels $key }}
{{- fail (printf "podLabels: %s is in labels, which are on the pods as well" $key) }}
{{- end }}
{{- end }}
{{- range .Values.pools }}
{{- $settings := .settings | default dict }}
{{- range $key := list "UNJACK_WEB_LISTEN_ADDRESS" "UNJACK_WEB_TELEMETRY_PATH" }}
{{- if hasKey $settings $key }}
{{- fail (printf "pools: %s is the same for all; set it in the chart's settings" $key) }}
{{- end }}
{{- end }}
{{- $file = or $file (hasKey $settings "UNJACK_WEB_CONFIG_FILE") }}
{{- if hasKey $names .name }}
{{- fail (printf "pools: two are named %q" .name) }}
{{- end }}
{{- $_ := set $names .name true }}
{{- if and (gt (len $.Values.pools) 1) (not .nodeSelector) (not .affinity) }}
{{- fail (printf "pools: %q needs a nodeSelector or an affinity of its own, or it runs beside another pool on the same nodes" .name) }}
{{- end }}
{{- if gt (len (printf "%s-%s" $.Release.Name .name)) 63 }}
{{- fail (printf "pools: the name %s-%s is longer than 63 characters" $.Release.Name .name) }}
{{- end }}
{{- end }}
{{- if and $file $web.existingSecret }}
{{- fail "settings.UNJACK_WEB_CONFIG_FILE: webConfig.existingSecret sets it" }}
{{- end }}
{{- if and $file (not (and .Values.livenessProbe .Values.readinessProbe)) }}
{{- fail "settings.UNJACK_WEB_CONFIG_FILE: the chart's probes would get no answer, and the pods be restarted for ever. Use webConfig.existingSecret, or set livenessProbe and readinessProbe" }}
{{- end }}
{{- if $web.probeAuthorization }}
{{- if not $web.existingSecret }}
{{- fail "webConfig.probeAuthorization: without webConfig.existingSecret the endpoint has no passwords" }}
{{- else if or $web.clientCertificates (not $web.passwords) }}
{{- fail "webConfig.probeAuthorization: is not used; it takes webConfig.passwords: true and clientCertificates: false" }}
{{- end }}
{{- end }}
{{- if and $web.existingSecret $web.clientCertificates (not $web.tls) }}
{{- fail "webConfig.clientCertificates: takes webConfig.tls" }}
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
{{- fail "podMonitor and serviceMonitor are both enabled: every pod would be scraped twice" }}
{{- end }}
{{- end }}
