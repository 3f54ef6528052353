"""``structq judge-check`` and ``calibrate`` as a user has them: tables, JSON, wrong options."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from structq.cli.commands import app
from structq.evaluation import Calibration
from tests.scripted import ScriptedEngine, extensions_of, make_lm, prompt_of, respond, schema_of


def rows(n=76, seed=0):
    """Pairs whose better response says "good", and is as often the longer one as not."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        best = int(rng.integers(2))
        texts = [f"bad {'word ' * int(rng.integers(1, 30))}" for _ in range(2)]
        texts[best] = texts[best].replace("bad", "good")
        yield {"instruction": f"Question {i}?", "responses": texts, "labels": {"best": best},
               "subset": "odd" if i % 2 else "even"}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf8")
    return path


def shown(prompt):
    """The responses in a score prompt, in their order."""
    parts = prompt.split("\nResponse ")[1:]
    return [part.partition(":\n")[2].strip() for part in parts]


def judge(score):
    """A judge that scores by a function of (text, place), measured with all mass on one label."""

    def script(request):
        if "read" in extensions_of(request):
            text = extensions_of(request)["read"]
            gain = 5.0 * text.startswith("good") * bool(prompt_of(request).strip())
            found = {"logprob": gain - len(text), "n_tokens": len(text.split())}
            return respond(request, "", data={"structq": {"read": found, "n_passes": 1}})
        labels = schema_of(request)["scores"]["items"]["enum"]
        values = [score(text, i) for i, text in enumerate(shown(prompt_of(request)))]
        order = sorted(range(len(values)), key=lambda i: values[i])
        found = [labels[order.index(i)] for i in range(len(values))]
        return json.dumps({"scores": found})

    engine = ScriptedEngine(script)
    engine.reads_text = True
    return make_lm(engine)


def one_line(done):
    """What was shown, without the breaks of a table."""
    return " ".join(done.output.split())


JUDGES = {
    "good": lambda text, i: text.startswith("good"),
    "place": lambda text, i: -i,
    "length": lambda text, i: len(text),
}


@pytest.fixture
def check(monkeypatch, data):
    def run(*options, score="good", command="judge-check"):
        monkeypatch.setattr("structq.lm", lambda spec, **_: judge(JUDGES[score]), raising=False)
        return CliRunner().invoke(app, [command, str(data), "--lm", "scripted/lm", *options])

    return run


def test_a_good_judge_stands_above_what_needs_no_judge(check, tmp_path):
    done = check("--json", str(tmp_path / "out.json"), "--group", "subset")
    assert done.exit_code == 0, done.output
    [found] = json.loads((tmp_path / "out.json").read_text())["judges"]
    assert found["figures"]["mode"]["accuracy"][0] == 1.0
    assert found["figures"]["mean over orders"]["minus_chance"][0] == 0.5
    assert found["figures"]["mode"]["minus_length"][1] > 0
    assert (
        found["baselines"]["length"]["accuracy"][1]
        < 0.5
        < found["baselines"]["length"]["accuracy"][2]
    )
    assert {group: part["n_pairs"] for group, part in found["groups"].items()} == {
        "even": 38,
        "odd": 38,
    }
    assert found["order"]["consistent"] == 1.0
    assert found["warnings"] == []
    assert found["cost"]["lm_calls"] == 152
    for told in ("accuracy", "the longer wins", "at random", "changes no winner in 76 rows"):
        assert told in one_line(done)


@pytest.mark.parametrize(
    ("score", "told"), [("place", "position alone"), ("length", "length alone")]
)
def test_what_is_no_judge_is_called_so(check, score, told):
    done = check(score=score)
    assert done.exit_code == 0
    assert told in done.output
    other = {"position alone", "length alone"} - {told}
    assert not other & set(done.output.split(":"))


def test_ways_to_score_stand_beside_one_another(check, tmp_path):
    done = check(
        "--scoring", "joint", "--scoring", "likelihood", "--json", str(tmp_path / "o.json")
    )
    assert done.exit_code == 0, done.output
    joint, read = json.loads((tmp_path / "o.json").read_text())["judges"]
    assert (joint["scoring"], read["scoring"]) == ("joint", "likelihood")
    assert list(read["figures"]) == ["raw value"]
    assert read["figures"]["raw value"]["accuracy"][0] == 1.0
    assert read["order"] is None


def test_a_check_that_was_stopped_goes_on(check, tmp_path, monkeypatch):
    out = str(tmp_path / "o.json")
    assert check("--json", out, "--limit", "20").exit_code == 0
    assert check("--json", out).exit_code == 0
    [found] = json.loads((tmp_path / "o.json").read_text())["judges"]
    assert found["cost"]["lm_calls"] == 112  # 56 of 76 rows in both orders


def test_rows_without_labels_are_counted_and_cost_nobody(check, data):
    with data.open("a", encoding="utf8") as file:
        file.write(json.dumps({"instruction": "Why?", "responses": ["a", "b"]}) + "\n")
        file.write(
            json.dumps({"instruction": "Why?", "responses": ["a"], "labels": {"best": 4}}) + "\n"
        )
        file.write("{broken\n")
    done = check()
    assert done.exit_code == 0
    assert "left out: no labels" in done.output
    assert "labels.best" in done.output
    assert "76, 76" in done.output


WRONG = {
    "no labels at all": (["--labels", "marks"], "no row to check on: no marks"),
    "another kind": (["--kind", "correct"], "no row to check on"),
    "no such way": (["--scoring", "guess"], "must be one of"),
    "no such option": (["--sample", "3"], "No such option"),
    "a limit below 1": (["--limit", "0"], "limit"),
}


@pytest.mark.parametrize(("options", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_a_sentence(check, options, told):
    done = check(*options)
    assert done.exit_code == 2
    assert told in done.output
    assert "Traceback" not in done.output


def test_no_lm_is_said_to_be_missing(data):
    done = CliRunner().invoke(app, ["judge-check", str(data)], env={"STRUCTQ_LM": ""})
    assert done.exit_code == 2
    assert "lm: must be given" in done.output


def test_a_curve_is_fitted_and_written(check, tmp_path):
    out = tmp_path / "c.json"
    done = check("-o", str(out), "--scoring", "likelihood", command="calibrate")
    assert done.exit_code == 0, done.output
    fitted = Calibration.load(out)
    assert fitted.kind == "best"
    assert fitted.held_out_brier[fitted.method] < 0.05
    assert fitted.about["scorer"]["scoring"] == "likelihood"
    assert "held-out Brier score" in done.output


def test_a_judge_that_says_nothing_is_not_calibrated(check, tmp_path):
    done = check("-o", str(tmp_path / "c.json"), score="place", command="calibrate")
    assert done.exit_code == 2
    assert "says nothing about them" in done.output
    assert not (tmp_path / "c.json").exists()


def test_scores_are_put_on_peoples_scale(check, data, tmp_path):
    curve, out = tmp_path / "c.json", tmp_path / "scored.jsonl"
    assert check("-o", str(curve), "--scoring", "likelihood", command="calibrate").exit_code == 0
    options = ["-o", str(out), "--calibration", str(curve), "--scoring", "likelihood"]
    done = check(*options, command="score")
    assert done.exit_code == 0, done.output
    scored = [json.loads(line) for line in out.read_text(encoding="utf8").splitlines()]
    for row in scored:
        assert row["scores"][row["labels"]["best"]] == 1.0
        assert set(row["score_distributions"][0]) == {"0", "1"}
        assert row["metadata"]["uncalibrated_scores"] == row["metadata"]["raw_scores"]
    other = check("-o", str(tmp_path / "x.jsonl"), "--calibration", str(curve), command="score")
    assert other.exit_code == 2
    assert "was fitted to scores with scoring='likelihood'" in other.output


def test_the_mean_of_the_data_is_told_on_the_labels_scale(check, data, tmp_path):
    told = [
        row | {"labels": {"human_scores": [4.0 + i % 2 if "good" in text else 2.0
                                           for text in row["responses"]]}}
        for i, row in enumerate(rows())
    ]  # fmt: skip
    data.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf8")
    curve, out = str(tmp_path / "c.json"), tmp_path / "o.jsonl"
    assert check("-o", curve, "--scoring", "likelihood", command="calibrate").exit_code == 0
    options = ["--calibration", curve, "--scoring", "likelihood"]
    summary = tmp_path / "s.json"
    done = check("-o", str(out), *options, "--summary", str(summary), command="score")
    assert done.exit_code == 0, done.output
    scored = [json.loads(line) for line in out.read_text(encoding="utf8").splitlines()]
    means = [value for row in scored for value in row["expected_scores"]]
    found = json.loads(summary.read_text())["calibrated"]
    assert found["mean"] == pytest.approx(list(Calibration.load(curve).mean_of(means)))
    assert found["mean"][1] < 3.25 < found["mean"][2]
    assert found["shift"] is None
    assert "mean on the labels' scale" in done.output

    worse = [row | {"responses": ["bad one", "bad two"]} for row in told]
    data.write_text("".join(json.dumps(row) + "\n" for row in worse), encoding="utf8")
    done = check("-o", str(tmp_path / "w.jsonl"), *options, command="score")
    assert "distributed otherwise" in one_line(done)


def test_which_is_better_has_no_mean(check, tmp_path):
    curve, summary = str(tmp_path / "c.json"), tmp_path / "s.json"
    assert check("-o", curve, "--scoring", "likelihood", command="calibrate").exit_code == 0
    options = ["--calibration", curve, "--scoring", "likelihood", "--summary", str(summary)]
    assert check("-o", str(tmp_path / "o.jsonl"), *options, command="score").exit_code == 0
    assert json.loads(summary.read_text())["calibrated"] == {
        "rows": 76, "mean": None, "shift": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("score", "told", "same", "last"),
    [
        ("good", "changes no winner in 40 rows", 40, True),
        ("place", "position alone: the first response", 0, False),
    ],
)
def test_a_run_says_whether_the_order_decides(check, tmp_path, score, told, same, last):
    options = ["-o", str(tmp_path / "o.jsonl"), "--summary", str(tmp_path / "s.json")]
    done = check(*options, "--judge-check", "40", command="score", score=score)
    assert done.exit_code == 0, done.output
    assert told in one_line(done)
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["judge_check"]["rows"] == found["judge_check"]["lm_calls"] == 40
    assert found["judge_check"]["same_winner"] == same
    assert 0 <= found["judge_check"]["last_wins"] <= same
    assert bool(found["judge_check"]["last_wins"]) is last
    assert found["lm_calls"] == 76


def test_what_scores_nothing_has_no_judge_to_check(check, tmp_path):
    done = check("-o", str(tmp_path / "o.jsonl"), "--judge-check", "5", command="evolve")
    assert done.exit_code == 2
