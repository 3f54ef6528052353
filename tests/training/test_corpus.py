from itertools import pairwise

import numpy as np
import pytest

from training.corpus import World
from training.families import FAMILIES
from training.heldout import evolve_rows, kinds_in, pair_rows, score_rows
from training.levels import (
    KIND_OF,
    KINDS,
    Piece,
    joined,
    label_distribution,
    level_of,
    position,
)
from training.phrasings import COMBINED, MUTATIONS, PARTS, VAGUE
from training.sentences import lead_in, made_frame
from training.topics import CLAUSES, TOPICS


def world(seed: int = 0, *, held_out: bool = False) -> World:
    return World(np.random.default_rng(seed), held_out=held_out)


def test_spans_cut_the_text_into_its_pieces():
    w = world()
    for _ in range(200):
        response = w.response(w.subject())
        cut = [response.text[a:b] for a, b in response.spans]
        assert cut == [piece.text for piece in response.pieces]


def test_no_placeholder_is_left_in_any_text():
    for held_out in (False, True):
        w = world(held_out=held_out)
        for _ in range(300):
            subject = w.subject()
            for text in (subject.instruction, w.good(subject, 3).text, w.poor(subject).text):
                assert "{topic" not in text
                assert "{fact" not in text


@pytest.mark.parametrize(
    ("roles", "level"),
    [
        ((), 1),
        (("off",), 1),
        (("refusal",), 1),
        (("bare",), 2),
        (("filler", "filler"), 2),
        (("answer", "contradiction"), 2),
        (("answer", "reason", "cut"), 2),
        (("answer",), 3),
        (("answer", "filler", "praise"), 3),
        (("answer", "reason", "reason"), 4),
        (("answer", "reason", "example"), 5),
        (("answer", *KINDS), 6),
    ],
)
def test_level_follows_the_table(roles: tuple[str, ...], level: int):
    assert level_of(tuple(Piece(text="x", role=role) for role in roles)) == level


@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 3), (1, 6), (0, 9), (1, 10)])
def test_labels_grow_with_the_level_and_peak_at_the_nearest(low: int, high: int):
    means = []
    for level in range(1, 7):
        p = label_distribution(level, low, high)
        assert p.sum() == pytest.approx(1)
        assert low + int(p.argmax()) == round(position(level, low, high) + 1e-9)
        means.append(p @ np.arange(low, high + 1))
    assert all(a < b for a, b in pairwise(means))


def test_training_never_draws_what_is_held_out():
    held = {t for topics in TOPICS.values() for t in topics[-6:]}
    held_asks = {text for texts in MUTATIONS.values() for text in texts[-10:]}
    held_asks |= {text for _, text in COMBINED[-15:]} | set(VAGUE[-10:])
    w = world()
    for _ in range(500):
        assert w.subject().topic not in held
        assert w.mutation()[0] not in held_asks


def test_held_out_rows_use_only_what_training_never_drew():
    topics = {t for topics in TOPICS.values() for t in topics[-6:]}
    asks = {text for texts in MUTATIONS.values() for text in texts[-10:]}
    for row in evolve_rows(60, seed=1):
        assert row.subject.topic in topics
        assert row.method in asks


def test_every_frame_is_read_as_its_own_kind():
    w = world()
    for kind in KINDS:
        for frame in PARTS[kind]:
            assert kind in kinds_in(w.fill(frame, w.subject()))


def test_a_part_is_read_also_behind_the_space_that_parts_it_from_the_original():
    w = world()
    for kind in KINDS:
        for frame in PARTS[kind]:
            assert kind in kinds_in(" " + w.fill(frame, w.subject()))


def test_answers_and_fillers_are_read_as_no_kind():
    w = world(3)
    texts = [w.answer(w.subject()).text for _ in range(200)]
    texts += [w.filler(w.subject()).text for _ in range(100)]
    wrong = [t for t in texts if kinds_in(t)]
    assert len(wrong) <= 3, wrong


def test_evolving_adds_the_asked_part_and_keeps_the_rest():
    w = world(5)
    for kind in KIND_OF.values():
        subject = w.subject()
        original = w.good(subject, 0, noise=0)
        evolved = w.evolved(subject, original, (kind,))
        assert evolved.text.startswith(original.text)
        assert evolved.level == original.level + 1


def test_pairs_differ_in_level_and_can_be_equal_in_length():
    for row in pair_rows(20, seed=2, tolerance=0.03):
        assert row.levels[0] != row.levels[1]
        short, long = sorted(len(text) for text in row.responses)
        assert long - short <= 0.03 * long


def test_score_rows_come_in_every_size():
    sizes = [len(row.responses) for row in score_rows(10, seed=3)]
    assert sizes == [1, 2, 3, 4, 5] * 2


def test_there_is_enough_to_say():
    assert len(FAMILIES) >= 20
    assert sum(map(len, TOPICS.values())) >= 400
    assert all(len(c) >= 14 for kinds in CLAUSES.values() for c in kinds.values())
    assert all(len(f.instructions) >= 12 for f in FAMILIES)


def test_made_frames_hold_their_kind_of_clause_and_repeat_no_held_out_frame():
    rng = np.random.default_rng(0)
    for kind in KINDS:
        frames = {made_frame(rng, kind) for _ in range(400)}
        assert len(frames) > 150
        assert not frames & set(PARTS[kind][-6:])
        field = "{ask}" if kind == "focus" else "{" + kind + "}"
        assert all(field in frame for frame in frames)


def test_a_lead_in_keeps_the_text_behind_it():
    rng = np.random.default_rng(0)
    assert lead_in(rng, "The reason is plain.").endswith(" the reason is plain.")
    assert lead_in(rng, "NASA did it.").endswith(" NASA did it.")


def test_what_nano_is_to_write_stays_with_the_frames_that_the_rules_read():
    w = World(np.random.default_rng(7), variety=True)
    for kind in KIND_OF.values():
        for _ in range(20):
            subject = w.subject()
            original = joined([])
            added = w.evolved(subject, original, (kind,)).pieces[-1]
            assert kind in kinds_in(added.text)
