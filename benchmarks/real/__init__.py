"""A benchmark on a real LM: its answers, rows, metrics and the rivals; knows no command line."""
