"""Orders in which K responses are shown, against an LM's preference for a position."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, permutations

__all__ = ["orders"]


def orders(n_responses: int, n_orders: int) -> list[tuple[int, ...]]:
    """The first ``n_orders`` different orders, or all of them where there are fewer.

    First as they are, then the other rotations, which put each response once in each place; then
    the rotations backwards; then whatever is left.

    Example:
        >>> orders(3, 2)
        [(0, 1, 2), (1, 2, 0)]
    """
    found: dict[tuple[int, ...], None] = {}
    for order in _all_orders(n_responses):
        found.setdefault(order)
        if len(found) == n_orders:
            break
    return list(found)


def _all_orders(n: int) -> Iterator[tuple[int, ...]]:
    rotations = [tuple(range(i, n)) + tuple(range(i)) for i in range(n)]
    backwards = [order[::-1] for order in rotations]
    return chain(rotations, backwards, islice(permutations(range(n)), 100_000))
