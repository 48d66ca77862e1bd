"""The commands, one a file; each file's `command` is the click command of its name."""
