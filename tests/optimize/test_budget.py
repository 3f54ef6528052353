import pytest
from dspy.lm15 import Config, Message, Request

from structq import BudgetExceededError, InputError
from structq.optimize.budget import Budget, Tab, gate_of
from tests.scripted import ScriptedEngine, make_lm


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
    budget.settle(0, 2)
    with pytest.raises(BudgetExceededError, match="3 LM calls"):
        budget.settle(0, 1)


def test_a_tab_reserves_what_it_has_not_and_gives_back_the_rest():
    budget = Budget(limit=5)
    tab, other = Tab(budget), Tab(budget)
    assert tab.reserve(1)
    assert other.reserve(2)
    with tab.open():
        for _ in range(3):
            tab.pay()
        with pytest.raises(BudgetExceededError, match="all 5 LM calls"):
            tab.pay()
    assert (tab.n_made, budget.spent, budget.reserved) == (3, 3, 2)


def test_calls_without_a_tab_are_counted_too():
    engine = ScriptedEngine(lambda request: "{}")
    lm = gate_of(budget := Budget(limit=2))(make_lm(engine))
    for _ in range(2):
        lm(Request(model=lm.model, messages=(Message.user("Hi."),), config=Config()))
    with pytest.raises(BudgetExceededError):
        lm(Request(model=lm.model, messages=(Message.user("Hi."),), config=Config()))
    assert (budget.spent, len(engine.requests)) == (2, 2)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None, "9"])
def test_a_limit_is_a_count(limit):
    with pytest.raises(InputError, match="max_lm_calls"):
        Budget(limit=limit)
