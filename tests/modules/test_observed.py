"""MLflow's autolog sees the rows of a run, with what lies within each."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import sys
import mlflow
mlflow.set_tracking_uri("file://" + sys.argv[1])
mlflow.set_experiment("structq")
mlflow.dspy.autolog(silent=True)
import structq
from tests.scripted import ScriptedEngine, make_lm
best = structq.EvolveAndScore(lm=make_lm(ScriptedEngine()))
rows = next(best.process([{"instruction": f"Question {i}?", "response": "a"} for i in range(3)]))
assert not any(row["metadata"]["error"] for row in rows)
mlflow.flush_trace_async_logging()
for trace in mlflow.search_traces(return_type="list"):
    print(*sorted({span.name for span in trace.data.spans}))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed (test-torch)")
def test_autolog_sees_each_row(tmp_path):
    env = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true",
           "PYTHONPATH": str(ROOT)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, str(tmp_path)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    seen = [set(line.split()) for line in done.stdout.splitlines()]
    assert len(seen) == 3
    for names in seen:
        assert {"EvolveAndScore.forward", "EvolQuality.forward", "QualityScorer.forward"} <= names
        assert {"Predictor.forward", "LM.__call__", "StructAdapter.parse"} <= names
