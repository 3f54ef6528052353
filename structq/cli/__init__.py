"""The command line: arguments in, exit code out; knows nothing of how anything works."""
