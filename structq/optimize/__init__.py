"""Tunes mutation templates and proves what it found; knows nothing of files of rows."""
