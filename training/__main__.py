"""``python -m training --out DIR``: train nano from scratch.

The result is a folder that ``structq.lm("onnx:DIR")`` serves; the files ``model.onnx``,
``model.json`` and ``tokenizer.json`` in it are what the package ships in ``structq/nano/``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from .package import write_package
from .train import Settings, train


def main() -> None:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for the result")
    parser.add_argument("--minutes", type=float, default=Settings.minutes)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="one core each")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the weights in DIR, or with shipped files that were copied there",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(
        Settings(
            minutes=arguments.minutes,
            seed=arguments.seed,
            processes=arguments.processes,
            resume=arguments.resume,
        ),
        arguments.out,
    )
    write_package(arguments.out, arguments.out)


if __name__ == "__main__":
    main()
