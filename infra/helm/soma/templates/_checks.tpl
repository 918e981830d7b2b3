{{/* What the schema cannot see: everything that is missing, in one message. */}}
{{- define "soma.check" -}}
{{- $wrong := list -}}
{{- $v := .Values -}}
{{- $sources := dict "postgres" $v.postgres.source "redis" $v.redis.source "qdrant" $v.qdrant.source "kafka" $v.kafka.source -}}
{{- if and (not $v.secrets.existingSecret) (not $v.secrets.generate) -}}
{{- $wrong = append $wrong "secrets.existingSecret: name a Secret that holds the keys in secrets.keys; there is no default key and no default password" -}}
{{- end -}}
{{- if and $v.secrets.existingSecret $v.secrets.generate -}}
{{- $wrong = append $wrong "secrets.generate: there is an existingSecret already, use one of them" -}}
{{- end -}}
{{- if and $v.secrets.generate (has "external" (values $sources)) -}}
{{- $wrong = append $wrong "secrets.generate: what opens an external server cannot be made up; set secrets.existingSecret" -}}
{{- end -}}
{{- if not $v.secrets.keys.bootstrap_key -}}
{{- $wrong = append $wrong "secrets.keys.bootstrap_key: a server that is reachable needs an admin key" -}}
{{- end -}}
{{- if not $v.secrets.keys.postgres_url -}}
{{- $wrong = append $wrong "secrets.keys.postgres_url: the replicas share a PostgreSQL database" -}}
{{- end -}}
{{- if and (ne $v.redis.source "none") (not $v.secrets.keys.redis_url) -}}
{{- $wrong = append $wrong "secrets.keys.redis_url: is missing; without Redis set redis.source to none" -}}
{{- end -}}
{{- if and (eq $v.qdrant.source "chart") (not $v.secrets.keys.qdrant_api_key) -}}
{{- $wrong = append $wrong "secrets.keys.qdrant_api_key: the chart's Qdrant is not left open" -}}
{{- end -}}
{{- if and (eq $v.qdrant.source "external") (not $v.qdrant.url) -}}
{{- $wrong = append $wrong "qdrant.url: where is it? Without Qdrant set qdrant.source to none" -}}
{{- end -}}
{{- if and (eq $v.kafka.source "external") (not $v.kafka.servers) -}}
{{- $wrong = append $wrong "kafka.servers: where is it? Without Kafka set kafka.source to none" -}}
{{- end -}}
{{- if $v.ingress.enabled -}}
{{- if not $v.ingress.host -}}
{{- $wrong = append $wrong "ingress.host: the name that clients use" -}}
{{- end -}}
{{- if not $v.ingress.tlsSecretName -}}
{{- $wrong = append $wrong "ingress.tlsSecretName: without TLS keys and memories would travel in the open" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.clients) -}}
{{- $wrong = append $wrong "networkPolicy.clients: the ingress controller's pods have to be let in" -}}
{{- end -}}
{{- end -}}
{{- if $v.ingress.grpc.enabled -}}
{{- if not $v.grpc.enabled -}}
{{- $wrong = append $wrong "ingress.grpc.enabled: needs grpc.enabled" -}}
{{- end -}}
{{- if or (not $v.ingress.grpc.host) (not $v.ingress.grpc.tlsSecretName) -}}
{{- $wrong = append $wrong "ingress.grpc: needs host and tlsSecretName" -}}
{{- end -}}
{{- end -}}
{{- if and $v.monitoring.serviceMonitor.enabled $v.networkPolicy.enabled (not $v.networkPolicy.scrapers) -}}
{{- $wrong = append $wrong "networkPolicy.scrapers: Prometheus' pods have to be let in" -}}
{{- end -}}
{{- range $name := list "api" "grpc" "worker" -}}
{{- $role := index $v $name -}}
{{- $replicas := int $role.replicas -}}
{{- with $role.autoscaling -}}
{{- if .enabled -}}
{{- $replicas = int .minReplicas -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- $wrong = append $wrong (printf "%s.autoscaling: minReplicas is above maxReplicas" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $role.disruptionBudget.enabled (ge (int $role.disruptionBudget.maxUnavailable) $replicas) -}}
{{- $wrong = append $wrong (printf "%s.disruptionBudget: maxUnavailable must be below the number of replicas" $name) -}}
{{- end -}}
{{- if lt (int $role.terminationGracePeriodSeconds) (add 15 (default 0 $role.preStopSeconds) | int) -}}
{{- $wrong = append $wrong (printf "%s.terminationGracePeriodSeconds: must be at least preStopSeconds and 15 more: requests are given 10 s to finish" $name) -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nthe values are not complete (docs/deployment.md):\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}
