"""Keeping lexical rows, vectors and models in step with the text."""
