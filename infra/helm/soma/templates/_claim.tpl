{{/* The volume of a server of the chart's: (root, server). */}}
{{- define "soma.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .server.storageClassName }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests: {storage: {{ .server.storage }}}
{{- end -}}
