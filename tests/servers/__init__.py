"""Real servers for tests: given by URL, run in containers, or started as processes."""
