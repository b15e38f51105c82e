"""The command line: parses, calls what does the work, and prints."""
