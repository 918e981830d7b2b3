#!/bin/bash
# KAFKA_SOME_KEY becomes some.key in server.properties (`__` stands for `_`, `___` for `-`).
set -euo pipefail

properties=/opt/kafka/config/server.properties
: > "$properties"
while read -r name; do
    case "$name" in
        KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_PERFORMANCE_OPTS) continue ;;
    esac
    key=$(sed 's/^KAFKA_//; s/___/\x01/g; s/__/\x02/g; s/_/./g; s/\x01/-/g; s/\x02/_/g' <<< "$name")
    echo "${key,,}=${!name}" >> "$properties"
done < <(compgen -e KAFKA_ || true)

if [ ! -s "$properties" ]; then
    cat > "$properties" <<'END'
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
advertised.listeners=PLAINTEXT://localhost:9092
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@localhost:9093
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
END
fi
grep -q '^log.dirs=' "$properties" || echo log.dirs=/var/lib/kafka/data >> "$properties"
logs=$(sed -n 's/^log.dirs=//p' "$properties")

quick=(-XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.xml)
if [ ! -s "${logs%%,*}/meta.properties" ]; then
    java "${quick[@]}" -cp "/opt/kafka/libs/*" kafka.tools.StorageTool \
        format --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" \
        --config "$properties"
fi

# shellcheck disable=SC2086  # these hold several words each
exec java ${KAFKA_HEAP_OPTS:--Xmx512m -Xms128m} ${KAFKA_OPTS:-} ${KAFKA_JVM_PERFORMANCE_OPTS:-} \
    -XX:+UseSerialGC "${quick[@]}" -cp "/opt/kafka/libs/*" kafka.Kafka "$properties"
