"""The command line: one function per command. Start with `app`."""
