"""What a memory is, how memories are found, and what the core needs from the world."""
