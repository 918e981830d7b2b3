"""What the running process tells about itself: counts, spans and lines, never content."""
