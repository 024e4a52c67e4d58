"""The command line: one file per command. The only place that reads flags, picks streams, sets exit codes."""
