"""The command line: one app, one file of commands per stage."""
