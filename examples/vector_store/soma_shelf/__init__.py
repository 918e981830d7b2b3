"""A vector store for Soma that keeps its vectors in one SQLite file of its own."""

import somafractalmemory

somafractalmemory.expose()
