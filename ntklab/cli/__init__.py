"""The command line: reading options, writing results; one file a command in `commands`."""
