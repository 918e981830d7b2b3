"""What becomes of drafts on their way into the store."""
