"""Any DSPy module can be tuned: a program of two predictors, and a scorer's criteria."""

import json

import dspy
import pytest

from structq import EvolQuality, InputError, QualityScorer, TemplateOptimizer
from structq.evaluation import Agreement
from tests.scripted import ScriptedEngine, make_lm, prompt_of, schema_of


class Answerer(dspy.Module):
    """Draws up an outline, then answers by it."""

    def __init__(self):
        super().__init__()
        self.outline = dspy.Predict(dspy.Signature("question -> outline", "Draw up an outline."))
        self.answer = dspy.Predict(dspy.Signature("outline -> answer", "Answer by the outline."))

    def forward(self, question):
        outline = self.outline(question=question).outline
        return self.answer(outline=outline)


def script(request):
    """Obeys CAREFUL in the outline and BRIEF in the answer; proposes both and a third."""
    prompt = f"{request.system} {prompt_of(request)}"
    if "new version of the instruction" in prompt:
        return ["Be CAREFUL here.", "Be BRIEF here.", "Shout."][hash_of(prompt) % 3]
    field = "outline" if "Draw up" in prompt else "answer"
    said = "careful" if "CAREFUL" in prompt else "rash"
    if field == "answer":
        brief = "brief" if "BRIEF" in prompt else "long"
        said = f"{'careful' if 'careful' in prompt else 'rash'} {brief}"
    return f"[[ ## {field} ## ]]\n{said}\n\n[[ ## completed ## ]]"


def hash_of(text):
    return sum(map(ord, text))


def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
    """As dspy.GEPA takes it."""
    score = ("careful" in pred.answer) * 0.6 + ("brief" in pred.answer) * 0.4
    return dspy.Prediction(score=score, feedback=f"Wanted: {gold.wanted}.")


@pytest.fixture
def lm():
    engine = ScriptedEngine(script)
    engine.supports_response_schema = False
    lm = make_lm(engine)
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        yield lm


def rows(n, prefix="Q"):
    found = [dspy.Example(question=f"{prefix}{i}?", wanted=f"W{i}") for i in range(n)]
    return [row.with_inputs("question") for row in found]


def test_a_program_of_two_predictors_is_tuned_within_the_budget(lm):
    student = Answerer()
    before = student.dump_state()
    optimizer = TemplateOptimizer(metric, max_lm_calls=300, proposer="reflective")
    tuned = optimizer.compile(student, trainset=rows(20), valset=rows(20, "V"))
    result = tuned.optimization
    assert result.verdict.accepted, result.history
    assert "CAREFUL" in tuned.outline.signature.instructions
    assert tuned.outline.signature.instructions.startswith("Draw up an outline.")
    assert result.n_calls == len(lm.engine.requests) <= 300
    assert result.verdict.gain.mean >= 0.6
    assert student.dump_state() == before
    assert tuned(question="New?").answer.startswith("careful")


def test_feedback_reaches_who_writes(lm):
    optimizer = TemplateOptimizer(metric, max_lm_calls=200, proposer="reflective")
    optimizer.compile(Answerer(), trainset=rows(20), valset=rows(20, "V"))
    written = [p for p in map(prompt_of, lm.engine.requests) if "new version" in p]
    assert any('remark: "Wanted: W' in prompt for prompt in written)
    assert any("'outline' gets question and writes outline" in prompt for prompt in written)


@pytest.mark.parametrize("limit", [90, 91, 140])
def test_a_program_never_passes_the_budget_and_goes_on(lm, limit, tmp_path):
    options = {"proposer": "reflective", "checkpoint": tmp_path / "c"}
    sets = {"trainset": rows(12), "valset": rows(12, "V")}
    first = TemplateOptimizer(metric, max_lm_calls=limit, **options).compile(Answerer(), **sets)
    assert first.optimization.n_calls == len(lm.engine.requests) <= limit
    again = TemplateOptimizer(metric, max_lm_calls=limit, **options).compile(Answerer(), **sets)
    assert again.optimization.finding == first.optimization.finding
    assert len(lm.engine.requests) == first.optimization.n_calls


def test_rows_without_inputs_are_named(lm):
    optimizer = TemplateOptimizer(metric, max_lm_calls=90)
    with pytest.raises(InputError, match=r"trainset\[0\]: has no inputs"):
        optimizer.compile(Answerer(), trainset=[{"question": "Q?"}] * 9)


def test_a_module_without_predictors_is_named():
    with pytest.raises(InputError, match="student: must be"):
        TemplateOptimizer(metric, max_lm_calls=90).compile(dspy.Module(), trainset=rows(9))


def judge(request):
    """Scores by length, and by the word "right" where the criteria speak of facts."""
    if request.config.response_format is None:
        return ["Reward facts.", "Reward length.", "Be strict."][hash_of(prompt_of(request)) % 3]
    prompt = prompt_of(request)
    n = schema_of(request)["scores"]["minItems"]
    shown = [prompt.split(f"Response {i + 1}:")[1][:15] for i in range(n)]
    by_facts = "facts" in prompt
    return json.dumps(
        {"scores": [3 if ("right" in s if by_facts else "wrong" in s) else 1 for s in shown]}
    )


def test_criteria_of_a_scorer_are_tuned_against_labels():
    engine = ScriptedEngine(judge)
    scorer = QualityScorer(lm=make_lm(engine), criteria="Judge the responses.")
    found = [
        {"instruction": f"Q{i}?", "responses": ["It is right.", "It is wrong."], "labels": [2, 1]}
        for i in range(40)
    ]
    optimizer = TemplateOptimizer(Agreement(), max_lm_calls=200, proposer="reflective")
    tuned = optimizer.compile(scorer, trainset=found)
    assert "Reward facts." in tuned.criteria
    assert tuned.optimization.verdict.gain.mean == 1.0
    assert tuned.optimization.n_calls == len(engine.requests) <= 200
    assert scorer.criteria == "Judge the responses."


@pytest.mark.parametrize(
    ("settings", "k", "n_asked"),
    [({"permutations": 2}, 2, 2), ({"scoring": "pairwise"}, 3, 6), ({"samples": 3}, 2, 3)],
    ids=["orders", "pairs", "samples"],
)
def test_a_scorer_that_asks_several_questions_a_row_ends_within_the_budget(settings, k, n_asked):
    engine = ScriptedEngine(several)
    scorer = QualityScorer(lm=make_lm(engine), **settings)
    rows = [
        {"instruction": f"Q{i}?", "responses": [f"text {i} {j}" for j in range(k)],
         "labels": {"best": i % k}}
        for i in range(16)
    ]  # fmt: skip
    optimizer = TemplateOptimizer(Agreement(), max_lm_calls=30 * n_asked, proposer="library")
    result = optimizer.compile(scorer, trainset=rows).optimization
    assert len(engine.requests) == result.n_calls <= 30 * n_asked
    assert result.n_trials == result.n_calls / n_asked > 0


def several(request):
    """Scores by place, or calls it a tie."""
    fields = schema_of(request)
    if "scores" in fields:
        low = fields["scores"]["items"]["enum"][0]
        return json.dumps({"scores": [low] * fields["scores"]["minItems"]})
    return json.dumps({name: form["enum"][0] for name, form in fields.items()})


def test_an_lm_that_a_metric_asks_is_counted_whatever_is_tuned():
    engine, other = ScriptedEngine(evolving), ScriptedEngine(lambda _: "7")

    def asks(example, prediction):
        told = dspy.settings.lm(f"Rate: {prediction.evolved_response}")[0]
        return int(told["text"] if isinstance(told, dict) else told) / 10

    asks.max_calls = 1
    rows = [{"instruction": f"Q{i}?", "response": f"Answer {i}."} for i in range(16)]
    with dspy.context(lm=make_lm(other)):
        optimizer = TemplateOptimizer(asks, max_lm_calls=80, proposer="library")
        tuned = optimizer.compile(EvolQuality(lm=make_lm(engine)), trainset=rows)
    n_calls = len(engine.requests) + len(other.requests)
    assert len(other.requests) > 20
    assert tuned.optimization.n_calls == n_calls <= 80


def evolving(request):
    said = "Grown by a sentence with several words in it."
    return json.dumps({"evolved_response": said})
