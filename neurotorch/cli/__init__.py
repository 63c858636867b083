"""The command line: every command calls what a notebook would call."""
