"""The vector index of the server profile: Qdrant 1.15 or later, single node or cluster."""
