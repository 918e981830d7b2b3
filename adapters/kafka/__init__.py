"""The event log on Kafka, or on anything that speaks its protocol."""
