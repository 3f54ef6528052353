"""Chromium for tests: the one that is here, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; where there is none the test is skipped, or fails if CI_BROWSER is set."""
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed (the test-browser extra)")
    if program is None:
        _missing("there is no chromium on the path (Debian's package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


def _missing(reason: str) -> None:
    if os.environ.get("CI_BROWSER") == "1":
        pytest.fail(f"CI_BROWSER says that a browser is here, but {reason}")
    pytest.skip(reason)
