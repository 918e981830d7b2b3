"""The use cases: one verb per module here, each readable as the story of one request.

The folders hold what several of these stories share, and the work that goes on beside them.
"""
