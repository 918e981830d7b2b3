"""Fast Core: exact search by vectors and by words inside the process."""
