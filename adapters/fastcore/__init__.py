"""Fast Core: exact vector search inside the process."""
