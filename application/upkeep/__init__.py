"""Looking after a store: repairs, reconciliation, backups."""
