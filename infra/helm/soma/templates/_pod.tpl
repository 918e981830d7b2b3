{{/* What every pod of this chart has in common: (root, serviceAccount?). */}}
{{- define "soma.pod" -}}
serviceAccountName: {{ default (include "soma.fullname" .root) .serviceAccount }}
automountServiceAccountToken: false
# Kubernetes would make variables such as SOMA_PORT from Services, and Soma refuses what it does not know.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "soma.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "soma.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where the pods of a role may go: (root, component, role). */}}
{{- define "soma.placement" -}}
{{- $component := .component -}}
{{- $root := .root -}}
topologySpreadConstraints:
  {{- range $key, $when := dict "kubernetes.io/hostname" .role.spread.hosts "topology.kubernetes.io/zone" .role.spread.zones }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "soma.selector" (dict "root" $root "component" $component) | nindent 8 }}
    # Each version is spread by itself, so that an update finds room.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- with .role.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Which settings come from the Secret, as a map of setting to key. */}}
{{- define "soma.secretKeys" -}}
{{- $keys := dict -}}
{{- range $setting, $key := .Values.secrets.keys -}}
{{- $server := get (dict "redis_url" "redis" "qdrant_api_key" "qdrant" "kafka_password" "kafka") $setting -}}
{{- $unused := and $server (eq "none" (index $.Values (default "redis" $server)).source) -}}
{{- if and $key (not $unused) -}}
{{- $_ := set $keys $setting $key -}}
{{- end -}}
{{- end -}}
{{- toYaml $keys -}}
{{- end -}}

{{/* Secrets as files, and what is said about them: (root, only?: names of settings). */}}
{{- define "soma.secretEnv" -}}
{{- $only := .only -}}
{{- range $setting, $key := include "soma.secretKeys" .root | fromYaml -}}
{{- if or (not $only) (has $setting $only) }}
- name: SOMA_{{ upper $setting }}_FILE
  value: /etc/soma/secrets/{{ $setting }}
{{- end -}}
{{- end -}}
{{- if .root.Values.certificates.secretName }}
- name: SSL_CERT_FILE
  value: /etc/soma/certificates/{{ .root.Values.certificates.key }}
{{- if eq .root.Values.kafka.source "external" }}
- name: SOMA_KAFKA_CA_FILE
  value: /etc/soma/certificates/{{ .root.Values.certificates.key }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The environment of a serving process: (root, own: settings of the role, which win over given ones). */}}
{{- define "soma.env" -}}
envFrom:
  - configMapRef: {name: {{ include "soma.fullname" .root }}}
env:
  {{- include "soma.secretEnv" . | trim | nindent 2 }}
  {{- if .root.Values.erasureLedger.existingClaim }}
  - name: SOMA_ERASURE_LEDGER
    value: /var/lib/soma-erasures/erasures.log
  {{- end }}
  {{- range $setting, $value := mergeOverwrite (deepCopy .given) .own }}
  - name: SOMA_{{ upper $setting }}
    value: {{ include "soma.text" $value | quote }}
  {{- end }}
{{- end -}}

{{/* (root, only?: names of settings, where the process is to know no more) */}}
{{- define "soma.mounts" -}}
# Nothing is written in normal running; Python's tempfile and whoever looks inside may.
- {name: tmp, mountPath: /tmp}
- {name: data, mountPath: /var/lib/soma}
- {name: secrets, mountPath: /etc/soma/secrets, readOnly: true}
{{- if .root.Values.certificates.secretName }}
- {name: certificates, mountPath: /etc/soma/certificates, readOnly: true}
{{- end }}
{{- if and .root.Values.erasureLedger.existingClaim (not .only) }}
- {name: erasures, mountPath: /var/lib/soma-erasures}
{{- end }}
{{- end -}}

{{/* (root, only?: names of settings) */}}
{{- define "soma.volumes" -}}
{{- $only := .only -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
# Over the volume that the image declares, which would have no limit.
- name: data
  emptyDir: {sizeLimit: 64Mi}
- name: secrets
  secret:
    secretName: {{ include "soma.secretName" .root }}
    defaultMode: 0440
    items:
      {{- range $setting, $key := include "soma.secretKeys" .root | fromYaml }}
      {{- if or (not $only) (has $setting $only) }}
      - {key: {{ $key }}, path: {{ $setting }}}
      {{- end }}
      {{- end }}
{{- if and .root.Values.erasureLedger.existingClaim (not $only) }}
- name: erasures
  persistentVolumeClaim:
    claimName: {{ .root.Values.erasureLedger.existingClaim }}
{{- end }}
{{- with .root.Values.certificates }}
{{- if .secretName }}
- name: certificates
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0440
    items:
      - {key: {{ .key }}, path: {{ .key }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Replicas by load: (root, component, role). */}}
{{- define "soma.autoscaler" -}}
{{- if .role.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "soma.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "soma.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "soma.fullname" .root }}-{{ .component }}
  minReplicas: {{ .role.autoscaling.minReplicas }}
  maxReplicas: {{ .role.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .role.autoscaling.cpuPercent }}}
  behavior:
    # A replica that goes takes its warm index with it.
    scaleDown:
      stabilizationWindowSeconds: 300
      policies: [{type: Pods, value: 1, periodSeconds: 60}]
{{- end }}
{{- end -}}

{{/* How many a drain may take at a time: (root, component, role). */}}
{{- define "soma.disruptionBudget" -}}
{{- if .role.disruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "soma.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "soma.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .role.disruptionBudget.maxUnavailable }}
  # A pod that is broken anyway must not hold up a drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "soma.selector" . | nindent 6 }}
{{- end }}
{{- end -}}
