"""A small search, an LM that likes one word, and rows: what the driver's tests drive."""

from __future__ import annotations

import json
from statistics import fmean
from zlib import crc32

from structq import EvolQuality, QualityGain, QualityScorer, TemplateOptimizer
from structq.optimize.result import Finding, Gain, Verdict
from structq.optimize.trials import Ask, Evaluate, Trial
from tests.scripted import ScriptedEngine, body_of, make_lm, prompt_of, schema_of

TEMPLATES = {"depth": "Go deeper.", "style": "Write better."}
PROPOSALS = ("GOOD: go deeper.", "Go elsewhere.")


def small_search(space, *, n_train, n_val, proposals=PROPOSALS, n_asks=1, n_texts=9, **_):
    """Asks, tries every text of every mutation on every row, compares the best with the seed."""
    replies = []
    for i in range(n_asks):
        answers = yield Ask(prompts=(f"Propose {i}, a.", f"Propose {i}, b."))
        replies += [reply for reply in answers.replies if reply]
        if answers.stop:
            break
    texts = [*proposals, *replies][:n_texts]
    best = {}
    history = [f"replies: {sorted(replies)}"]
    for name, own in space.templates.items():
        means = {}
        for text in [own, *texts]:
            answers = yield evaluation(name, text, "train", n_train)
            means[text] = fmean(outcome.gain for outcome in answers.outcomes)
            history.append(f"{name}: {text[:20]!r} {means[text]:.4f}")
            if answers.stop:
                break
        best[name] = max(means, key=lambda text: means[text])
    gains = {}
    for name in space.templates:
        old = yield evaluation(name, space.templates[name], "val", n_val)
        new = yield evaluation(name, best[name], "val", n_val)
        pairs = [b.gain - a.gain for a, b in zip(old.outcomes, new.outcomes, strict=True)]
        gains[name] = Gain(mean=fmean(pairs), low=min(pairs), high=max(pairs), n=len(pairs))
    gain = fmean(g.mean for g in gains.values())
    verdict = Verdict(accepted=gain > 0, reason=f"{gain:+.2f}")
    return Finding(
        seed=space.templates, best=best, verdict=verdict, gains=gains, history=tuple(history)
    )


def evaluation(name, text, split, n_rows):
    trials = (Trial(texts=((name, text),), split=split, row=i) for i in range(n_rows))
    return Evaluate(trials=tuple(trials))


def tuning_script(request):
    """Evolves to "good" where the template says GOOD; scores what is good above the rest."""
    prompt = prompt_of(request)
    if request.config.response_format is None:
        return f"Give {crc32(prompt.encode())} more facts that matter to the reader."
    if "evolved_response" in schema_of(request):
        word = "good" if "GOOD" in prompt else "poor"
        return json.dumps({"evolved_response": f"{body_of(prompt, 'response')} {word}"})
    n_shown = schema_of(request)["scores"]["minItems"]
    shown = [body_of(prompt, str(i + 1)) for i in range(n_shown)]
    return json.dumps({"scores": [3 if "good" in text else 1 for text in shown]})


def make_rows(n, prefix="Q"):
    return [{"instruction": f"{prefix}{i}?", "response": f"Answer {i}."} for i in range(n)]


def make_student(engine, **settings):
    return EvolQuality(mutation_templates=TEMPLATES, lm=make_lm(engine), **settings)


def make_optimizer(engine, *, max_lm_calls=1000, search=small_search, **options):
    scorer = QualityScorer(lm=make_lm(engine))
    return TemplateOptimizer(
        QualityGain(scorer), max_lm_calls=max_lm_calls, search=search, **options
    )


def tune(*, engine=None, n=5, **options):
    """One whole run; returns the tuned module and the engine."""
    engine = engine or ScriptedEngine(tuning_script)
    optimizer = make_optimizer(engine, **options)
    tuned = optimizer.compile(make_student(engine), trainset=make_rows(n), valset=make_rows(n, "V"))
    return tuned, engine
