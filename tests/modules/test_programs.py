"""A program from a stranger: what docs/trust.md claims."""

import copy
import json
import pathlib
import time

import dspy
import pytest

from structq import EvolQuality, EvolveAndScore, InputError, QualityScorer
from structq.modules import programs
from tests.scripted import ScriptedEngine, make_lm, prompt_of

ROW = {"instruction": "Why is the sky blue?", "response": "The air."}
DETAILS = "mutations['details']"


def saved():
    module = EvolQuality()
    state = module.dump_state()
    return {**state, "metadata": {"dependency_versions": {}}}


def deep(n):
    value = "x"
    for _ in range(n):
        value = [value]
    return value


def settings(**changes):
    return lambda state: state["settings"].update(changes)


def part(**changes):
    return lambda state: state[DETAILS].update(changes)


def renamed(name):
    return lambda state: state.update({f"mutations['{name}']": state.pop(DETAILS)})


def many(n):
    def change(state):
        for i in range(n):
            state[f"mutations['m{i}']"] = state[DETAILS]

    return change


def instructions(text):
    return lambda state: state[DETAILS]["signature"].update(instructions=text)


HOSTILE = {
    "a billion evolutions": settings(num_evolutions=10**9),
    "a billion attempts": settings(max_attempts=10**9),
    "a seed of a thousand digits": settings(seed=10**1000),
    "a seed of ten thousand digits": settings(seed=10**10000),
    "words without end": settings(max_added_words=10**30),
    "a million weights": settings(mutation_weights={f"m{i}": 1.0 for i in range(10**6)}),
    "a setting that is none": settings(__class__="os.system"),
    "a form that is none": settings(form="pickle"),
    "a regex bomb as a name": renamed("(a+)+$" * 20),
    "a long name": renamed("a" * 10**6),
    "a name with quotes": renamed("x'] + __import__('os').system('x') + ['"),
    "ten thousand mutations": many(10**4),
    "deep nesting": part(demos=[{"instruction": deep(900)}]),
    "a million values": part(demos=[{"x": list(range(1100))}] * 1100),
    "an attribute of the predictor": part(forward="x"),
    "its class": part(__class__="os"),
    "its config": part(config={"api_base": "http://127.0.0.1:9"}),
    "its callbacks": part(callbacks=["x"]),
    "a template that reads files": instructions("{{ instruction }}{{ response.__class__.mro() }}"),
    "a template that includes": instructions("{% include '/etc/passwd' %}{{ response }}"),
    "a template that counts": instructions(
        "{% for i in range(10**9) %}{{ response }}{{ instruction }}{% endfor %}"
    ),
    "a long template": instructions("x" * 10**6),
    "no state": lambda state: state.update({DETAILS: 3}),
    "no signature": lambda state: state[DETAILS].pop("signature"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_program_is_refused_at_once(change):
    state = copy.deepcopy(saved())
    change(state)
    module = EvolQuality(lm=make_lm(ScriptedEngine()))
    before = module.dump_state()
    started = time.perf_counter()
    with pytest.raises((InputError, KeyError)):
        module.load_state(state)
    assert time.perf_counter() - started < 10
    assert module.dump_state() == before


# JSON is not written with so many digits; it may be read.
IN_FILES = {name: change for name, change in HOSTILE.items() if "ten thousand digits" not in name}


@pytest.mark.parametrize("change", IN_FILES.values(), ids=IN_FILES)
def test_a_hostile_file_is_refused_in_one_way(change, tmp_path):
    state = copy.deepcopy(saved())
    change(state)
    path = tmp_path / "program.json"
    path.write_text(json.dumps(state))
    with pytest.raises(InputError):
        EvolQuality().load(path)


FILES = {
    "nothing": b"",
    "no JSON": b"program",
    "a list": b"[]",
    "a number": b"3",
    "no metadata": b"{}",
    "nesting without end": b"[" * 100_000 + b"]" * 100_000,
    "no UTF-8": b'{"a": "\xff"}',
    "half of it": json.dumps(saved()).encode()[:500],
    "another module": json.dumps(QualityScorer().dump_state()).encode(),
    "metadata of a number": b'{"metadata": 3}',
    "unknown versions": b'{"metadata": {"dependency_versions": {"x": "1"}}}',
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("make", [EvolQuality, EvolveAndScore])
def test_a_file_that_is_no_program_is_said_to_be_none(content, make, tmp_path):
    path = tmp_path / "program.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="program"):
        make().load(path)


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "MAX_BYTES", 100)
    EvolQuality().save(tmp_path / "program.json")
    with pytest.raises(InputError, match="at most 100"):
        EvolQuality().load(tmp_path / "program.json")


def test_pickles_are_refused_unless_the_caller_trusts_them(tmp_path):
    EvolQuality().save(tmp_path / "program.pkl")
    with pytest.raises(InputError, match="arbitrary code"):
        EvolQuality().load(tmp_path / "program.pkl")
    EvolQuality().load(tmp_path / "program.pkl", allow_pickle=True)
    EvolQuality().save(tmp_path / "whole", save_program=True)
    with pytest.raises(ValueError, match="pickle is not allowed"):
        dspy.load(str(tmp_path / "whole"))


TEXTS = [
    "{{ 7 * 7 }}", "{% for i in range(10**9) %}x{% endfor %}", "{{ ''.__class__.mro() }}",
    "<PROMPT>", "{% include '/etc/passwd' %}", "${jndi:ldap://x}", "$(touch ran)",
    "__import__('os')",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_row_stays_text(text):
    engine = ScriptedEngine()
    EvolQuality(lm=make_lm(engine))(instruction=f"Why {text}?", response=f"It is {text} here.")
    assert f"Why {text}?" in prompt_of(engine.requests[0])
    assert f"It is {text} here." in prompt_of(engine.requests[0])


@pytest.mark.parametrize("text", TEXTS)
def test_the_answer_of_an_lm_stays_text(text):
    answer = f"The air scatters {text} most of all."
    engine = ScriptedEngine(lambda request: json.dumps({"evolved_response": answer}))
    program = EvolQuality(num_evolutions=2, lm=make_lm(engine), check_answers=False)
    assert program(**ROW).evolved_response == answer
    assert answer in prompt_of(engine.requests[1])


def test_the_limits_are_those_of_the_page():
    page = (pathlib.Path(__file__).parents[2] / "docs" / "trust.md").read_text()
    page = " ".join(page.split())
    assert f"{programs.MAX_BYTES // 2**20} MiB" in page
    assert (
        f"{programs.MAX_PREDICTORS:,}\nparts" in page
        or f"{programs.MAX_PREDICTORS:,} parts" in page
    )
    assert f"deeper than {programs.MAX_DEPTH} levels" in page
    assert f"more than {programs.MAX_BITS} bits" in page
