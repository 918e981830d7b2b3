{{/* The root of all names: the release's, with the chart's where that says more. */}}
{{- define "soma.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a release, or of one component of it: (root, component?). Never changes. */}}
{{- define "soma.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Every object's labels: (root, component?). */}}
{{- define "soma.labels" -}}
{{ include "soma.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: soma
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "soma.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "soma.secretName" -}}
{{- default (include "soma.fullname" .) .Values.secrets.existingSecret -}}
{{- end -}}

{{/* Ports of this chart's own making. */}}
{{- define "soma.port.api" -}}8420{{- end -}}
{{- define "soma.port.worker" -}}8421{{- end -}}
{{- define "soma.port.grpc" -}}8422{{- end -}}

{{/* A value as an environment variable has it. Numbers come as floats: 536870912 must not become 5.4e+08. */}}
{{- define "soma.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- . | toString -}}
{{- end -}}
{{- end -}}

{{/* The port of a URL. */}}
{{- define "soma.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host -}}
{{- if $port -}}
{{- trimPrefix ":" $port -}}
{{- else -}}
{{- eq $url.scheme "https" | ternary "443" "80" -}}
{{- end -}}
{{- end -}}
