import json
from itertools import product

import numpy as np
import pytest

from structq.decoding import SlotPlan, TokenPlan, Vocabulary
from structq.engines.calls import Extend
from structq.engines.generation import measure_labels
from structq.engines.sampling import Sampling


def scores(k, labels):
    return {
        "type": "object",
        "properties": {
            "scores": {
                "type": "array",
                "items": {"enum": list(labels)},
                "minItems": k,
                "maxItems": k,
            }
        },
        "required": ["scores"],
        "additionalProperties": False,
    }


@pytest.fixture
def vocabulary(runtime):
    return Vocabulary(runtime.tokenizer, eos_token_id=runtime.eos_token_id, n_vocab=runtime.n_vocab)


def drive(runtime, row, slot=0):
    """Runs one row by hand; its answer and its passes."""
    runtime.rewind(slot, 0)
    passes, logits = [], None
    try:
        while True:
            need = row.send(logits)
            assert isinstance(need, Extend)
            passes.append(need)
            runtime.rewind(slot, runtime.length(slot) - need.drop)
            logits = runtime.extend(slot, need.tokens, need.n_logits)
    except StopIteration as end:
        return end.value, passes


def measure(
    runtime, vocabulary, schema, *, prompt="score this", max_tokens=None, spaced=True, **sampling
):
    plan = TokenPlan(SlotPlan.of(schema, spaced=spaced), vocabulary)
    row = measure_labels(
        runtime.encode([("user", prompt)]),
        plan,
        max_tokens=max_tokens,
        sampling=Sampling(**sampling),
        decode=runtime.decode,
    )
    return drive(runtime, row)


def log_softmax(logits):
    wide = logits.astype(np.float64)
    return wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())


def brute_force(runtime, vocabulary, before, labels, after):
    """The distribution over labels, each scored by a prefill of its own."""
    closing = vocabulary.starting_with(after.encode()[:1])
    texts = [str(label) for label in labels]
    logs = []
    for text in texts:
        path = vocabulary.tokenize(text)
        runtime.rewind(1, 0)
        logits = runtime.extend(1, [*before, *path], len(path) + 1)
        total = sum(log_softmax(row)[token] for row, token in zip(logits, path, strict=False))
        if any(other != text and other.startswith(text) for other in texts):
            total += np.log(np.exp(log_softmax(logits[-1])[closing]).sum())
        logs.append(total)
    weights = np.exp(logs)
    return weights / weights.sum(), weights.sum()


@pytest.mark.parametrize("k", [1, 2, 4, 8, 16])
def test_k_scores_cost_k_passes(runtime, vocabulary, k):
    answer, passes = measure(runtime, vocabulary, scores(k, range(1, k + 2)))
    assert answer.n_passes == len(passes) == k
    assert answer.finish_reason == "stop"
    assert len(json.loads(answer.text)["scores"]) == k


def test_labels_that_branch_twice_cost_a_pass_for_each_further_branch(runtime, vocabulary):
    answer, _ = measure(runtime, vocabulary, scores(2, range(1, 26)))
    assert answer.n_passes == 4


@pytest.mark.parametrize(
    "labels",
    [range(1, 7), range(10), range(1, 11), range(1, 18), range(1, 101)],
    ids=["1..6", "0..9", "1..10", "1..17", "1..100"],
)
@pytest.mark.parametrize("spaced", [True, False], ids=["spaced", "compact"])
def test_distributions_agree_with_brute_force(runtime, vocabulary, labels, spaced):
    answer, _ = measure(runtime, vocabulary, scores(3, labels), spaced=spaced)
    taken = json.loads(answer.text)["scores"]
    for at, slot in enumerate(answer.slots):
        space = " " if spaced else ""
        head = f'{{"scores":{space}[' + "".join(f"{score},{space}" for score in taken[:at])
        before = [*runtime.encode([("user", "score this")]), *vocabulary.tokenize(head)]
        after = "," if at < 2 else "]"
        expected, mass = brute_force(runtime, vocabulary, before, labels, after)
        np.testing.assert_allclose(slot.probabilities, expected, atol=1e-5)
        np.testing.assert_allclose(slot.mass, mass, rtol=1e-3)
        assert slot.probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert taken[at] == labels[int(expected.argmax())]


@pytest.mark.parametrize(
    ("spaced", "separators"), [(True, (", ", ": ")), (False, (",", ":"))], ids=["spaced", "compact"]
)
def test_the_text_is_the_json_of_the_labels(runtime, vocabulary, spaced, separators):
    answer, _ = measure(runtime, vocabulary, scores(3, [1, 2, 3]), spaced=spaced)
    assert answer.text == json.dumps(json.loads(answer.text), separators=separators)
    assert answer.slots[0].labels == ("1", "2", "3")


def test_forced_and_measured_tokens_add_up(runtime, vocabulary):
    answer, _ = measure(runtime, vocabulary, scores(3, [1, 2, 3]))
    assert answer.n_output_tokens == len(vocabulary.tokenize(answer.text))
    assert answer.n_forced_tokens == answer.n_output_tokens - 3


def test_objects_of_labels_of_several_kinds_are_measured(runtime, vocabulary):
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["yes", "yes, but", "no"]},
            "ok": {"type": "boolean"},
            "fixed": {"const": "x"},
        },
        "required": ["kind", "ok", "fixed"],
        "additionalProperties": False,
    }
    answer, _ = measure(runtime, vocabulary, schema)
    value = json.loads(answer.text)
    assert value["fixed"] == "x"
    assert [len(slot.labels) for slot in answer.slots] == [3, 2]


def test_a_temperature_draws_labels_and_a_seed_fixes_them(runtime, vocabulary):
    def drawn(seed):
        answer, _ = measure(runtime, vocabulary, scores(4, range(1, 6)), temperature=3.0, seed=seed)
        return answer.text

    assert len({drawn(seed) for seed in range(12)}) > 3
    assert drawn(5) == drawn(5)


def test_an_answer_over_max_tokens_is_cut_off_and_says_so(runtime, vocabulary):
    whole, _ = measure(runtime, vocabulary, scores(3, [1, 2, 3]))
    answer, _ = measure(runtime, vocabulary, scores(3, [1, 2, 3]), max_tokens=5)
    assert answer.finish_reason == "length"
    assert answer.n_output_tokens == 5
    assert whole.text.startswith(answer.text)
    assert answer.text != whole.text


def test_every_combination_of_labels_can_be_written(runtime, vocabulary):
    plan = TokenPlan(SlotPlan.of(scores(2, [9, 10, 11])), vocabulary)
    for choices in product(range(3), repeat=2):
        assert len(json.loads(plan.plan.render(choices))["scores"]) == 2
