import re
import string
from collections import Counter

import pytest

from training.families import FAMILIES
from training.phrasings import (
    COMBINED,
    CONTRADICTIONS,
    MUTATIONS,
    PARTS,
    PRAISE,
    RAMBLING,
    REFUSALS,
    VAGUE,
)
from training.topics import CLAUSES, TOPICS
from training.wordings import FOLDER, wordings

FILES = sorted(path.stem for path in FOLDER.glob("*.txt"))
FIELDS = {
    "answers": {"topic", "Topic", "other", "fact"},
    "parts": {"topic", "Topic", "ask", *PARTS},
    "clauses": {"topic"},
    "bare": {"topic", "Topic"},
    "fillers": {"topic", "Topic"},
    "faults": {"topic", "Topic"},
}
LONG_RUN = 5
"""Words in a row that no training line shares with a held-out one."""


def held_out() -> list[str]:
    lines = [*RAMBLING[-10:], *PRAISE[-4:], *REFUSALS[-3:], *CONTRADICTIONS[-4:], *VAGUE[-10:]]
    lines += [text for _, text in COMBINED[-15:]]
    for family in FAMILIES:
        lines += [*family.answers[-2:], *family.bare[-1:], *family.instructions[-4:]]
    for part in PARTS.values():
        lines += part[-6:]
    for mutation in MUTATIONS.values():
        lines += mutation[-10:]
    for topics in TOPICS.values():
        lines += topics[-6:]
    for clauses in CLAUSES.values():
        lines += [clause for kind in clauses.values() for clause in kind[-4:]]
    return lines


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def runs(text: str) -> set[tuple[str, ...]]:
    w = words(text)
    return {tuple(w[i : i + LONG_RUN]) for i in range(len(w) - LONG_RUN + 1)}


def lines_of(file: str) -> list[tuple[str, str]]:
    return [(name, line) for name, lines in wordings(file).items() for line in lines]


@pytest.mark.parametrize("file", FILES)
def test_no_line_comes_close_to_a_held_out_one(file):
    aside = held_out()
    whole = {tuple(words(line)) for line in aside}
    parts = set().union(*(runs(line) for line in aside))
    bags = [set(words(line)) for line in aside]
    close = []
    for _, line in lines_of(file):
        bag = set(words(line))
        alike = max(len(bag & other) / len(bag | other) for other in bags)
        if tuple(words(line)) in whole or runs(line) & parts or (len(bag) >= 5 and alike >= 0.6):
            close.append(line)
    assert not close


@pytest.mark.parametrize("file", FILES)
def test_every_line_is_a_frame_of_its_file_and_stands_once(file):
    allowed = FIELDS.get(file, set())
    lines = lines_of(file)
    wrong = [
        line
        for _, line in lines
        if not {name for _, name, _, _ in string.Formatter().parse(line) if name is not None}
        <= allowed
    ]
    twice = [line for line, n in Counter((h, line.lower()) for h, line in lines).items() if n > 1]
    assert not wrong
    assert not twice
    assert lines


def test_parts_hold_the_clause_of_their_kind():
    needed = {kind: "{ask}" if kind == "focus" else "{" + kind + "}" for kind in PARTS}
    assert [line for kind, line in lines_of("parts") if line.count(needed[kind]) != 1] == []


def test_headings_name_what_exists():
    families = {family.name for family in FAMILIES}
    assert set(wordings("answers")) == families
    assert set(wordings("bare")) == families
    assert set(wordings("parts")) == set(PARTS)
    assert set(wordings("mutations")) == {*MUTATIONS, "vague"}
    assert set(wordings("topics")) == set(TOPICS)
