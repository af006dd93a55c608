"""One thin module a command, of its name: its options, and one call of what does the work."""
