"""How difficult a simulator is: figures that need no optimizer, for comparison with those aimed at.

``climb`` and ``generation`` choose without noise, so they show what proposals alone allow. Both get
one proposal for every 21 calls of the budget (its own call and ten evaluations of two), dealt to
the mutations in turn. ``generation`` shows the seed's template to the proposer's LM each time,
``climb`` the best of the mutation so far.
"""

from __future__ import annotations

import numpy as np

from .proposer import SimulatedProposer
from .wording import PURPOSES
from .world import World, make_world

__all__ = ["calibrate"]

AIM = {
    "best template, in the metric": "0.38",
    "reachable: best less seed": "0.24",
    "sd of a row's paired difference": "0.43",
    "fed-back proposals that help": "0.57",
    "fed-back proposals that harm": "0.33",
    "generation without noise, share at 500": "0.41",
    "generation without noise, share at 2000": "0.51",
    "generation without noise, share at 8000": "0.61",
    "climb without noise, share at 500": "0.59",
    "climb without noise, share at 2000": "0.80",
    "climb without noise, share at 8000": "0.89",
}
_CALLS_PER_PROPOSAL = 21
# Latent worth: less is neither help nor harm.
_EQUAL = 0.05


def calibrate(kind: str, seeds: range) -> list[str]:
    """A line for each figure: mean over worlds, standard error, what was aimed at."""
    found: dict[str, list[float]] = {name: [] for name in AIM}
    for seed in seeds:
        world = make_world(kind, seed)
        best, start = world.best_value, world.true_value(PURPOSES)
        found["best template, in the metric"].append(best)
        found["reachable: best less seed"].append(best - start)
        found["sd of a row's paired difference"].append(_paired_sd(world))
        helps, harms = [], []
        for budget in (500, 2_000, 8_000):
            for name, feed in (("generation", False), ("climb", True)):
                share, steps = _without_noise(world, budget // _CALLS_PER_PROPOSAL, feed=feed)
                found[f"{name} without noise, share at {budget}"].append(share)
                if feed and budget == 500:
                    helps += [step > _EQUAL for step in steps]
                    harms += [step < -_EQUAL for step in steps]
        found["fed-back proposals that help"].append(float(np.mean(helps)))
        found["fed-back proposals that harm"].append(float(np.mean(harms)))
    lines = []
    for name, values in found.items():
        error = np.std(values, ddof=1) / len(values) ** 0.5
        lines.append(f"{name:<42} {np.mean(values):.3f} +- {error:.3f}  (aim {AIM[name]})")
    return lines


def _paired_sd(world: World) -> float:
    """Of the template of the three best sentences against the seed's."""
    chosen = " ".join(world.sentences[int(i)] for i in np.argsort(-world.main)[:3])
    differences = []
    for row in range(60):
        name = world.mutations[row % len(world.mutations)]
        text = PURPOSES[name]
        after = world.reading(row, name, f"{text} {chosen}").gain
        differences.append(after - world.reading(row, name, text).gain)
    return float(np.std(differences, ddof=1))


def _without_noise(world: World, n_proposals: int, *, feed: bool) -> tuple[float, list[float]]:
    """Share that is reached, and what each proposal changed in latent worth."""
    proposer = SimulatedProposer(world, world.seed)
    names = world.mutations
    best = dict(PURPOSES)
    worths = {name: world.worth(m, frozenset()) for m, name in enumerate(names)}
    steps = []
    for turn in range(n_proposals):
        m = turn % len(names)
        shown = best[names[m]] if feed else PURPOSES[names[m]]
        text = proposer.write(shown)
        worth = world.worth(m, world.read(text))
        steps.append(worth - world.worth(m, world.read(shown)))
        if worth > worths[names[m]]:
            best[names[m]], worths[names[m]] = text, worth
    return world.share(best), steps
