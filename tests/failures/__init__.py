"""The failure table: real servers and processes are killed, paused and swallowed by the network."""
