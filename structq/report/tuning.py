"""A search for templates, from the journal that ``structq optimize --checkpoint`` keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from markupsafe import Markup

from structq.report.answers import Mean, mean_of
from structq.report.html import figure, signed, table, tag
from structq.report.plots import whiskers

__all__ = ["search_numbers", "search_section"]

_MOST_TEMPLATES = 100


def search_numbers(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The verdict and the trials as JSON values."""
    config = lines[0].get("config") or {}
    note: Mapping[str, Any] = next(
        (line["note"] for line in reversed(lines) if "accepted" in line.get("note", {})), {}
    )
    trials = {
        (line["step"], line["place"]): line for line in lines if "gain" in line
    }  # asked again after an interrupt: the later one counts
    asked = {(line["step"], line["place"]): line for line in lines if "reply" in line}
    seed = config.get("mutation_templates") or {}
    best = (note.get("best") or {}).get("templates") or {}
    return {
        "accepted": note.get("accepted"),
        "reason": note.get("reason"),
        "seed": seed,
        "best": best,
        "n_trials": len(trials),
        "n_calls": sum(line["n_calls"] for line in (*trials.values(), *asked.values())),
        "max_lm_calls": config.get("max_lm_calls"),
        "failures": dict(
            Counter(t["failure"][:200] for t in trials.values() if t["failure"]).most_common()
        ),
        "gains": _gains(list(trials.values()), seed, best),
        "templates": _templates(list(trials.values()), seed, best),
    }


def _gains(
    trials: Sequence[Mapping[str, Any]], seed: Mapping[str, str], best: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Best less seed on the rows reserved for the verdict, paired, by mutation."""
    gains: dict[tuple[str, str, int], float] = {
        (t["mutation"], t["template"], t["row"]): t["gain"] for t in trials if t["split"] == "val"
    }
    found = []
    for name, text in best.items():
        pairs = [
            gain - gains[name, seed[name], row]
            for (mutation, template, row), gain in gains.items()
            if mutation == name and template == text and (name, seed.get(name), row) in gains
        ]
        if pairs and text != seed.get(name):
            found.append({"mutation": name, **vars(mean_of(pairs))})
    return sorted(found, key=lambda one: (-one["mean"], one["mutation"]))


def _templates(
    trials: Sequence[Mapping[str, Any]], seed: Mapping[str, str], best: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Every template that was tried, with its mean gain on either kind of rows."""
    gains: dict[tuple[str, str], dict[str, list[float]]] = {}
    for trial in trials:
        key = trial["mutation"], trial["template"]
        gains.setdefault(key, {}).setdefault(trial["split"], []).append(trial["gain"])
    found = []
    for (name, text), by_split in gains.items():
        told = {"mutation": name, "template": text, "seed": seed.get(name) == text,
                "best": best.get(name) == text}  # fmt: skip
        for split in ("train", "val"):
            values = by_split.get(split, [])
            told |= {f"n_{split}": len(values), split: fmean(values) if values else None}
        found.append(told)
    worst = float("-inf")
    return sorted(
        found,
        key=lambda t: (
            t["mutation"],
            -max(x for x in (t["val"], t["train"], worst) if x is not None),
        ),
    )


def search_section(title: str, numbers: Mapping[str, Any], mark: str) -> Markup:
    """The verdict in a sentence, what was gained, and every template that was tried."""
    tried = numbers["templates"]
    parts = [
        tag("h2", f"Search for templates: {title}"),
        tag("p", _verdict(numbers), class_="lead"),
    ]
    if numbers["gains"]:
        gains = [
            (one["mutation"], Mean(**{k: v for k, v in one.items() if k != "mutation"}), None)
            for one in numbers["gains"]
        ]
        parts.append(
            figure(
                f"tuned{mark}", "Gain of the best templates, by mutation",
                "Best template less the one it began with, on the rows reserved for the verdict.",
                whiskers(gains, "mean gain", f"tuned{mark}"),
                ["Mutation", "Mean gain", "Low", "High", "Rows"],
                ((n, signed(m.mean), signed(m.low), signed(m.high), m.n) for n, m, _ in gains),
            )
        )  # fmt: skip
    for name, text in numbers["best"].items():
        old = numbers["seed"].get(name, "")
        if text != old:
            both = tag("div", tag("p", old), tag("p", text), class_="texts", data_diff=True)
            parts += [tag("h3", name), both]
    rows = [
        (one["mutation"], one["n_train"], _signed(one["train"]), one["n_val"], _signed(one["val"]),
         ("Seed. " if one["seed"] else "Best. " if one["best"] else "") + one["template"])
        for one in tried[:_MOST_TEMPLATES]
    ]  # fmt: skip
    more = f", {_MOST_TEMPLATES} of them here" if len(tried) > _MOST_TEMPLATES else ""
    head = ["Mutation", "Trials", "Gain", "Trials for the verdict", "Gain there", "Template"]
    parts.append(
        tag(
            "details",
            tag("summary", f"{len(tried):,} templates were tried{more}"),
            table(head, rows),
        )
    )
    if numbers["failures"]:
        failed = table(["Why trials failed", "Trials"], numbers["failures"].items())
        parts.append(tag("details", tag("summary", "Failed trials"), failed))
    return tag("section", *parts, id=f"search{mark}", class_="search")


def _signed(value: float | None) -> str | None:
    return None if value is None else signed(value, 3)


def _verdict(numbers: Mapping[str, Any]) -> str:
    spent = f"{numbers['n_trials']:,} trials, {numbers['n_calls']:,} LM calls"
    if numbers["max_lm_calls"]:
        spent += f" of {numbers['max_lm_calls']:,}"
    if numbers["accepted"] is None:
        return f"No verdict yet: the search had not ended when the report was made. {spent}."
    proven = "Proven better" if numbers["accepted"] else "Not proven: the templates stay"
    changed = [n for n, text in numbers["best"].items() if text != numbers["seed"].get(n)]
    what = f" Changed: {', '.join(changed)}." if changed else ""
    return f"{proven}. {str(numbers['reason']).capitalize()}.{what} {spent}."
