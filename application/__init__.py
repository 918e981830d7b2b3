"""The use cases: one verb per module, each readable as the story of one request."""
