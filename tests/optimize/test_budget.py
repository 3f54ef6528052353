import pytest

from structq import BudgetExceededError, InputError
from structq.optimize.budget import Budget, Tab


def test_reservations_never_pass_the_limit():
    budget = Budget(limit=5)
    assert budget.reserve(3)
    assert not budget.reserve(3)
    budget.settle(3, 1)
    assert budget.left == 4
    assert budget.reserve(4)
    assert budget.left == 0


def test_calls_over_the_limit_are_an_error():
    budget = Budget(limit=2)
    budget.restore(2)
    with pytest.raises(BudgetExceededError, match="3 LM calls"):
        budget.restore(1)


def test_a_tab_that_nobody_can_settle_counts_in_full():
    budget = Budget(limit=9)
    tab = Tab(budget)
    assert tab.extend(4)
    assert not tab.extend(6)
    tab.n_made = 1
    tab.close(known=False)
    assert (budget.spent, budget.left) == (4, 5)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None, "9"])
def test_a_limit_is_a_count(limit):
    with pytest.raises(InputError, match="max_lm_calls"):
        Budget(limit=limit)
