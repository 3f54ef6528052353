"""A budget of LM calls: reserved before they are made, settled after; knows nothing of LMs."""

from __future__ import annotations

from dataclasses import dataclass

from structq.errors import BudgetExceededError, InputError, shorten

__all__ = ["Budget", "Tab"]


@dataclass(kw_only=True)
class Budget:
    """Counts calls against a limit that is never passed.

    Whoever is about to make calls reserves the most that it may make; afterwards it says how many
    it made. Reserved and made calls together never exceed the limit.

    Raises:
        InputError: The limit is not an integer of at least 1.
    """

    limit: int
    """Most calls."""
    spent: int = 0
    """Calls that were made."""
    reserved: int = 0
    """Calls that may still be made by what is under way."""

    def __post_init__(self) -> None:
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise InputError(
                f"max_lm_calls: must be an integer of at least 1, found {shorten(self.limit)}",
                field="max_lm_calls",
            )

    @property
    def left(self) -> int:
        """Calls that nobody has made or reserved."""
        return self.limit - self.spent - self.reserved

    def reserve(self, n: int) -> bool:
        """Whether so many calls may be made; if so, they are reserved."""
        if n > self.left:
            return False
        self.reserved += n
        return True

    def settle(self, n_reserved: int, n_made: int) -> None:
        """Gives back a reservation of which so many calls were made.

        Raises:
            BudgetExceededError: More were made than the budget allows: a fault of what made them.
        """
        self.reserved -= n_reserved
        self.spent += n_made
        if self.spent + self.reserved > self.limit:
            raise BudgetExceededError(
                f"{self.spent} LM calls were made (at most {self.limit} are allowed)"
            )

    def restore(self, n_made: int) -> None:
        """Counts calls of an earlier run."""
        self.settle(0, n_made)


class Tab:
    """What one trial may call and has called.

    Args:
        budget: Where it is reserved and settled.
    """

    def __init__(self, budget: Budget) -> None:
        self.n_made = 0
        self._budget = budget
        self._reserved = 0

    def extend(self, n: int) -> bool:
        """Whether so many more calls may be made."""
        granted = self._budget.reserve(n)
        self._reserved += n if granted else 0
        return granted

    def close(self, *, known: bool = True) -> None:
        """Settles; where nobody knows how many calls were made, all that were allowed count."""
        if not known:
            self.n_made = self._reserved
        self._budget.settle(self._reserved, self.n_made)
        self._reserved = 0
