"""Doors: translate a protocol into a use case and back."""
