"""Tests: by kind of test, and within `unit` as the source is laid out."""
