"""``python -m structq``: the same as ``structq``."""

from structq.cli.commands import main

if __name__ == "__main__":
    main()
