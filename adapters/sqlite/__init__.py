"""The canonical store in one SQLite file: the embedded profile's only place of truth."""
