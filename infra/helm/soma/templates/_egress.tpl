{{- define "soma.egress.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns.peers | nindent 4 }}
  ports:
    - {protocol: UDP, port: {{ .Values.networkPolicy.dns.port }}}
    - {protocol: TCP, port: {{ .Values.networkPolicy.dns.port }}}
{{- end -}}

{{/* To a server of the chart's, or to yours: (root, component, ports). */}}
{{- define "soma.egress.server" -}}
{{- $server := index .root.Values .component -}}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- if eq $server.source "chart" }}
  to:
    - podSelector:
        matchLabels:
          {{- include "soma.selector" . | nindent 10 }}
  {{- else if $server.cidrs }}
  to:
    {{- range $server.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "soma.egress.postgres" -}}
{{- $port := eq .Values.postgres.source "chart" | ternary 5432 (int .Values.postgres.port) -}}
{{- include "soma.egress.server" (dict "root" . "component" "postgres" "ports" (list $port)) -}}
{{- end -}}

{{- define "soma.egress.redis" -}}
{{- $port := eq .Values.redis.source "chart" | ternary 6379 (int .Values.redis.port) -}}
{{- include "soma.egress.server" (dict "root" . "component" "redis" "ports" (list $port)) -}}
{{- end -}}

{{- define "soma.egress.qdrant" -}}
{{- $ports := list "6333" -}}
{{- if eq .Values.qdrant.source "external" -}}
{{- $ports = list (include "soma.urlPort" .Values.qdrant.url) -}}
{{- end -}}
{{- with .Values.settings.qdrant_grpc_port -}}
{{- $ports = append $ports (include "soma.text" .) -}}
{{- end -}}
{{- include "soma.egress.server" (dict "root" . "component" "qdrant" "ports" $ports) -}}
{{- end -}}

{{- define "soma.egress.kafka" -}}
{{- $ports := list "9092" -}}
{{- if eq .Values.kafka.source "external" -}}
{{- $ports = list -}}
{{- range splitList "," .Values.kafka.servers -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" (trim .) | trimPrefix ":" | default "9092") -}}
{{- end -}}
{{- end -}}
{{- include "soma.egress.server" (dict "root" . "component" "kafka" "ports" (uniq $ports)) -}}
{{- end -}}

{{/* To whatever a setting gives the URL of: an embedder, a reranker, a collector of traces. */}}
{{- define "soma.egress.urls" -}}
{{- $ports := list -}}
{{- range $settings := list .Values.settings .Values.api.settings .Values.worker.settings .Values.grpc.settings -}}
{{- range $value := $settings -}}
{{- if and (kindIs "string" $value) (regexMatch "^https?://" $value) -}}
{{- $ports = append $ports (include "soma.urlPort" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with uniq $ports }}
- ports:
    {{- range . }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end -}}
