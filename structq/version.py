"""The version of the package, which saved things name."""

__version__ = "0.3.0"
