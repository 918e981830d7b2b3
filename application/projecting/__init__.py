"""Keeping what lies outside the store in step with the change feed."""
