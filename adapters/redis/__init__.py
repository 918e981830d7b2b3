"""Redis, Valkey or Redis Cluster: a cache, rate limits and locks that may all be lost."""
