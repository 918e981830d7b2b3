"""The canonical store of the server profile: PostgreSQL, shared by every replica."""
