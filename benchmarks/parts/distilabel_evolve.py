"""distilabel's EvolQuality over rows that name themselves; runs in an environment of its own.

python distilabel_evolve.py ADDRESS N_ROWS N_AT_ONCE
"""

from __future__ import annotations

import asyncio
import sys

from distilabel.models import OpenAILLM
from distilabel.steps.tasks import EvolQuality

address, n_rows, n_at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
asyncio.set_event_loop(asyncio.new_event_loop())
task = EvolQuality(
    llm=OpenAILLM(model="m", base_url=address, api_key="none"),
    num_evolutions=1,
    input_batch_size=n_at_once,
)
task.load()
done = 0
for first in range(0, n_rows, n_at_once):
    rows = [
        {"instruction": f"Q{i}?", "response": f"Answer to Q{i}?"}
        for i in range(first, min(first + n_at_once, n_rows))
    ]
    done += sum(bool(row["evolved_response"]) for row in next(task.process(rows)))
print(done)
