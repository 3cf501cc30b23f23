{{- define "streamgauge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "streamgauge.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "streamgauge.labels" -}}
{{ include "streamgauge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "streamgauge.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "streamgauge.hasFiles" -}}
{{- if or .Values.config .Values.prices -}}true{{- end -}}
{{- end -}}

{{/* The pod's own first, then what was given. */}}
{{- define "streamgauge.resourceAttributes" -}}
service.instance.id=$(POD_UID),k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)
{{- range $name, $value := .Values.otel.resourceAttributes }},{{ $name }}={{ $value }}{{ end -}}
{{- end -}}

{{- define "streamgauge.env" -}}
- { name: STREAMGAUGE_LISTEN, value: "0.0.0.0:{{ .Values.ports.http }}" }
- { name: STREAMGAUGE_ADMIN, value: "0.0.0.0:{{ .Values.ports.admin }}" }
{{- if .Values.config }}
- { name: STREAMGAUGE_CONFIG, value: /etc/streamgauge/config/streamgauge.toml }
{{- end }}
{{- if .Values.prices }}
- { name: STREAMGAUGE_PRICES, value: /etc/streamgauge/config/prices.toml }
{{- end }}
{{- with .Values.upstream.url }}
- { name: STREAMGAUGE_UPSTREAM, value: {{ . | quote }} }
{{- end }}
{{- if and .Values.upstream.url .Values.upstream.provider }}
- { name: STREAMGAUGE_UPSTREAM_PROVIDER, value: {{ .Values.upstream.provider | quote }} }
{{- end }}
{{- if .Values.tls.secretName }}
- { name: STREAMGAUGE_TLS_CERTIFICATE, value: /etc/streamgauge/tls/tls.crt }
- { name: STREAMGAUGE_TLS_KEY, value: /etc/streamgauge/tls/tls.key }
{{- end }}
- { name: STREAMGAUGE_LOG_FORMAT, value: {{ .Values.log.format | quote }} }
- { name: STREAMGAUGE_LOG_LEVEL, value: {{ .Values.log.level | quote }} }
- { name: STREAMGAUGE_LOG_ACCESS, value: {{ .Values.log.access | quote }} }
- { name: STREAMGAUGE_LIMITS_MEMORY, value: {{ .Values.limits.memory | quote }} }
- { name: STREAMGAUGE_SHUTDOWN_DRAIN, value: {{ printf "%ds" (int .Values.shutdown.drainSeconds) | quote }} }
{{- if .Values.admin.service }}
- { name: STREAMGAUGE_ALLOW_ADMIN_HOSTS, value: {{ printf "%s-admin,%s-admin.%s,%s-admin.%s.svc,%s-admin.%s.svc.cluster.local" (include "streamgauge.fullname" .) (include "streamgauge.fullname" .) .Release.Namespace (include "streamgauge.fullname" .) .Release.Namespace (include "streamgauge.fullname" .) .Release.Namespace | quote }} }
{{- end }}
{{- if .Values.admin.open }}
- { name: STREAMGAUGE_ADMIN_OPEN, value: "true" }
{{- end }}
{{- if .Values.admin.tokenSecret.name }}
- { name: STREAMGAUGE_ADMIN_TOKEN, valueFrom: { secretKeyRef: { name: {{ .Values.admin.tokenSecret.name }}, key: {{ .Values.admin.tokenSecret.key }} } } }
{{- end }}
- { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: POD_UID, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
{{- with .Values.otel.endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
- { name: OTEL_EXPORTER_OTLP_PROTOCOL, value: {{ $.Values.otel.protocol | quote }} }
{{- end }}
- { name: OTEL_METRICS_EXPORTER, value: {{ .Values.otel.metrics | quote }} }
- { name: OTEL_SERVICE_NAME, value: {{ default (include "streamgauge.fullname" .) .Values.otel.serviceName | quote }} }
- { name: OTEL_RESOURCE_ATTRIBUTES, value: {{ include "streamgauge.resourceAttributes" . | quote }} }
{{- range $name, $from := .Values.secretEnv }}
- { name: {{ $name }}, valueFrom: { secretKeyRef: { name: {{ $from.name }}, key: {{ $from.key }} } } }
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
What lets streams pass an Ingress: no buffering in either direction, no limit of a body's length, and a limit of time only for
silence, that of upstream.timeouts.idle and first_byte (10 min) and a little more, so that streamgauge is the first to say so.
*/}}
{{- define "streamgauge.ingressAnnotations" -}}
{{- $silence := 630 -}}
{{- if eq . "nginx" -}}
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
nginx.ingress.kubernetes.io/proxy-http-version: "1.1"
nginx.ingress.kubernetes.io/proxy-body-size: "0"
nginx.ingress.kubernetes.io/proxy-read-timeout: {{ $silence | quote }}
nginx.ingress.kubernetes.io/proxy-send-timeout: {{ $silence | quote }}
nginx.ingress.kubernetes.io/proxy-next-upstream: "off"
{{- else if eq . "haproxy" -}}
haproxy.org/timeout-server: {{ printf "%ds" $silence }}
haproxy.org/timeout-client: {{ printf "%ds" $silence }}
haproxy.org/timeout-tunnel: {{ printf "%ds" $silence }}
{{- else if eq . "alb" -}}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/healthcheck-path: /readyz
alb.ingress.kubernetes.io/load-balancer-attributes: {{ printf "idle_timeout.timeout_seconds=%d" $silence }}
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds=30
{{- end -}}
{{- end -}}
