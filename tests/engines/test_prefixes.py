import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from structq.engines.prefixes import HeldTokens

TEXTS = st.lists(st.lists(st.integers(0, 2), max_size=8), min_size=1, max_size=4)


def common(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


@given(texts=TEXTS, wanted=st.lists(st.integers(0, 2), max_size=10))
def test_the_longest_beginning_is_found(texts, wanted):
    held = HeldTokens(len(texts), 12)
    for slot, text in enumerate(texts):
        held.write(slot, 0, text)
    slot, n = held.best(wanted)
    assert n == max(common(text, wanted) for text in texts)
    assert n == common(texts[slot], wanted)


@given(
    text=st.lists(st.integers(0, 2), max_size=8), wanted=st.lists(st.integers(0, 2)), data=st.data()
)
def test_a_slot_knows_what_stands_behind_its_length(text, wanted, data):
    start = data.draw(st.integers(0, len(text)))
    held = HeldTokens(2, 12)
    held.write(1, 0, text)
    assert held.shared(1, start, wanted) == common(text[start:], wanted)


def test_what_is_written_over_is_forgotten():
    held = HeldTokens(1, 8)
    held.write(0, 0, [1, 2, 3, 4])
    held.write(0, 1, [9])
    assert held.best([1, 9, 3, 4]) == (0, 2)
    held.write(0, 1, ())
    assert held.best([1, 9]) == (0, 1)


def test_tokens_may_be_an_array():
    held = HeldTokens(1, 8)
    held.write(0, 0, np.array([1, 2]))
    assert held.best(np.array([1, 2, 3])) == (0, 2)


def test_what_stands_behind_unknown_columns_is_not_known():
    held = HeldTokens(1, 8)
    held.write(0, 0, [1, 2])
    held.write(0, 3, [4])
    assert held.best([1, 2, 3, 4]) == (0, 2)


def test_slots_are_cut_together():
    held = HeldTokens(3, 8)
    for slot in range(3):
        held.write(slot, 0, [1, 2, 3])
    held.cut(np.array([2, 5]))
    assert [held.shared(slot, 0, [1, 2, 3]) for slot in range(3)] == [2, 3, 3]


def test_only_beginnings_worth_copying_are_copied():
    held, copied = HeldTokens(2, 64), []
    text = list(range(40))
    held.write(0, 0, text)
    assert held.reuse(1, 0, text[:15], lambda *found: copied.append(found)) == 0
    assert held.reuse(1, 0, text[:30], lambda *found: copied.append(found)) == 30
    assert held.reuse(1, 10, text[10:], lambda *found: copied.append(found)) == 20
    assert copied == [(0, 1, 30)]
