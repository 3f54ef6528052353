"""One run from a file to a file: what commands over rows share."""

from __future__ import annotations

import gc
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structq.cli.options import Given
from structq.cli.tasks import opened
from structq.cli.terminal import EXIT_LIMIT, EXIT_ROWS_FAILED, say
from structq.data import ColumnMap, Contract, Row, read_rows
from structq.errors import InputError, LMError
from structq.runs.settings import RunSettings

if TYPE_CHECKING:
    from structq.cli.console import RunView
    from structq.journal import Journal
    from structq.modules.quality_scorer import QualityScorer
    from structq.modules.rows import RowModule
    from structq.runs import Run, Tally
    from structq.runs.judging import JudgeSample
    from structq.runs.ray_run import RayRun

__all__ = ["run_over"]


def run_over(
    make_task: Callable[[], RowModule], source: str, out: str, given: Given, contract: Contract
) -> int:
    """Reads, finishes and writes every row; what can fail before the first LM call fails first."""
    settings = RunSettings.picked(given)
    formats = _formats(source, out, settings.format)
    columns = ColumnMap.parse(settings.map or "")
    rows = opened(
        read_rows(source, contract, format=formats[0], columns=columns), limit=settings.limit
    )
    # These bring packages that `--help` does not need.
    from structq.runs.output import check_output, journal_of

    journal = journal_of(out, settings.journal)
    if settings.executor == "ray":
        _check_for_ray(settings, out)
    if settings.dry_run:
        return _dry_run(make_task(), rows, limit=settings.limit, source=source)
    check_output(out, journal, overwrite=settings.overwrite, format=formats[1], source=source)
    task = make_task()
    if settings.judge_check is not None:
        _judge_of(task)
    # Failed rows are reported with their place: a second report would only break the bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    task.load()
    gc.collect()
    gc.freeze()  # what is loaded by now stays: it need not be looked through again and again
    with _opened_journal(journal, task, restart=settings.restart) as kept:
        return _Command(
            make_task=make_task, task=task, settings=settings, source=source, out=out,
            format=formats[1], journal=kept,
        ).run(rows)  # fmt: skip


@dataclass(kw_only=True)
class _Command:
    """One run of a command."""

    make_task: Callable[[], RowModule]
    task: RowModule
    settings: RunSettings
    source: str
    out: str
    format: str | None
    journal: Journal | None
    ended_by: str | None = None
    last: int = -1

    def run(self, rows: Iterator[Row]) -> int:
        from structq.cli.console import RunView, tally_for
        from structq.runs.shards import Shard

        shard = Shard.parse(self.settings.shard or "1/1")
        run, tally = self._make_run(), tally_for(self.task)
        total = count_rows(self.source, limit=self.settings.limit)
        view = RunView(title=type(self.task).__name__, total=total, quiet=self.settings.quiet)
        with view, _interruptible(run) as interrupted:
            sample = self._take(run, shard.of(rows), tally, view)
            ends = interrupted() or self.ended_by or run.gate.ended_by
            if sample is not None and not ends:
                tally.judge_check = sample.check(window=self.settings.window)
            written = self._write(tally, whole=not ends)
        if run.gate.ended_by is not None:
            self._end(run.gate.ended_by)
        self._summarise(run, tally, view)
        if interrupted():
            say(f"structq: interrupted: {self._how_to_go_on(written)}")
            return 130
        if self.ended_by is not None:
            say(f"structq: {self.ended_by} ({self._how_to_go_on(written)})")
            return EXIT_LIMIT if run.gate.over_limit else 2
        return EXIT_ROWS_FAILED if tally.n_failed else 0

    def _make_run(self) -> Run | RayRun:
        from structq.runs import Gate, GateSettings, PaceLimits, Run
        from structq.runs.facts import shape_of

        s = self.settings
        limits = PaceLimits(
            most=s.window,
            first=None if s.concurrency == "auto" and not _is_local(self.task) else s.window,
            per_minute=s.rpm,
            tokens_per_minute=s.tpm,
        )
        gate = Gate(
            GateSettings(
                limits=limits,
                deadline_s=s.deadline,
                longest_wait_s=s.max_wait,
                max_calls=s.max_calls,
                max_cost=s.max_cost,
                priced=_has_prices(self.task),
            )
        )
        known: dict[str, Any] = {
            "task": self.task,
            "gate": gate,
            "path": "<stdin>" if self.source == "-" else self.source,
            "journal": self.journal,
            "shape": shape_of(self.task),
            "retry_failed": s.retry_failed,
        }
        if s.executor == "ray":
            from structq.runs.ray_run import RayRun

            return RayRun(make_task=self.make_task, n_actors=s.actors, **known)
        return Run(
            **known,
            ordered=s.on_error == "stop" or (self.out == "-" and not s.unordered),
            n_ahead=max(1000, 100 * s.window),
        )

    def _take(
        self, run: Run | RayRun, rows: Any, tally: Tally, view: RunView
    ) -> JudgeSample | None:
        """Takes every finished row; some of them for a check of the judge, where it is wanted."""
        from structq.runs.judging import CalibratedSample, JudgeSample
        from structq.runs.output import write_line
        from structq.runs.watch import FailureLimit, FailureWatch

        limit = self.settings.max_failures
        watch = FailureWatch(limit=FailureLimit.parse(limit) if limit else FailureLimit())
        wanted = self.settings.judge_check
        sample = None if wanted is None else JudgeSample(scorer=_judge_of(self.task), size=wanted)
        curve = getattr(self.task, "calibration", None)
        scaled = None if curve is None else CalibratedSample(calibration=curve)
        for row in run.finished(rows):
            self.last = max(self.last, row.number)
            tally.add(row)
            view.show(row, tally, run.gate)
            if reason := watch.add(row):
                self._end(reason)
                run.stop()
                break
            if row.error is not None and self.settings.on_error == "stop":
                self.last = row.number - 1
                run.stop()
                break
            for one in (sample, scaled):
                if one is not None and row.error is None:
                    one.add(row.values)
            if self.out == "-":
                write_line(row.values)
        if scaled is not None:
            tally.calibrated = scaled.report()
        return sample

    def _end(self, reason: str) -> None:
        self.ended_by = self.ended_by or reason

    def _write(self, tally: Tally, *, whole: bool) -> bool:
        """The output from the journal, where something came of the run.

        A run that ended early writes every row that is finished, also those of an earlier one, but
        not over what its journal knows nothing of.
        """
        from structq.runs.output import write_output

        if self.journal is None or self.out == "-" or not (tally.n_rows or whole):
            return False
        if not whole and Path(self.out).exists():
            own = self.journal.notes().get("written", False)
            if not own or tally.n_rows == tally.n_failed:
                return False  # nothing better is there than what is
        last = self.last if whole else None
        write_output(self.journal, self.out, format=self.format, last=last)
        self.journal.note("written", True)
        return True

    def _summarise(self, run: Run | RayRun, tally: Tally, view: RunView) -> None:
        from structq.cli.console import summary_of

        causes = dict(tally.causes.most_common())
        summary = summary_of(tally, run, causes, ended_by=self.ended_by)
        if self.journal is not None:
            self.journal.note("summary", summary)
        if self.settings.summary is not None:
            text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
            try:
                Path(self.settings.summary).write_text(text, encoding="utf8")
            except OSError as error:
                raise InputError(
                    f"summary: cannot write {self.settings.summary!r}: {error.strerror}",
                    field="summary",
                ) from error
        if self.ended_by is None or run.gate.over_limit or tally.n_rows > tally.n_failed:
            view.summarise(tally, run, causes)

    def _how_to_go_on(self, written: bool) -> str:
        where = f"finished rows are in {self.out!r}; " if written else ""
        if self.journal is None:
            return "there is no journal to go on from"
        return f"{where}the same command goes on where this ended"


def _judge_of(task: RowModule) -> QualityScorer:
    """Who scores the responses of a run.

    Raises:
        InputError: Nobody does.
    """
    from structq.modules import QualityScorer

    judge = getattr(task, "scorer", task)
    if not isinstance(judge, QualityScorer):
        raise InputError(
            "judge_check: nothing is scored here (run and score do)", field="judge_check"
        )
    return judge


@contextmanager
def _interruptible(run: Run | RayRun) -> Iterator[Callable[[], bool]]:
    """Ctrl-C lets the calls in flight end; a second one ends at once."""
    times = 0

    def stop(signum: int, frame: Any) -> None:
        nonlocal times
        times += 1
        if times > 1:
            raise KeyboardInterrupt
        say(f"structq: {run.ENDING} (Ctrl-C again stops at once)")
        run.stop()

    try:
        before = signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread, where no signal arrives
        yield lambda: False
        return
    try:
        yield lambda: times > 0
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _opened_journal(
    path: str | None, task: RowModule, *, restart: bool
) -> Iterator[Journal | None]:
    from structq.journal import Journal
    from structq.runs.facts import answers_depend_on, told_program

    if path is None:
        yield None
        return
    with Journal(path, answers_depend_on(task), restart=restart) as journal:
        if Path(f"{path}.ray").is_dir():
            from structq.runs.ray_run import absorb_shards

            absorb_shards(journal, restart=restart)
        journal.note("program", told_program(task))
        yield journal


def _check_for_ray(settings: RunSettings, out: str) -> None:
    """Raises where something was asked for that a run over actors cannot do."""
    from structq.runs.ray import ray_data

    ray_data()
    given = {
        "--output -": out == "-",
        "--max-calls": settings.max_calls is not None,
        "--max-cost": settings.max_cost is not None,
        "--on-error stop": settings.on_error == "stop",
        "--unordered": settings.unordered,
    }
    if refused := [name for name, is_there in given.items() if is_there]:
        raise InputError(
            f"executor: ray cannot go with {', '.join(refused)} (rows come back in parts; "
            "the local executor can)",
            field="executor",
        )


def _formats(source: str, out: str, given: str | None) -> tuple[str | None, str | None]:
    """What ``--format`` says of the input and of the output: of those that say nothing."""
    if given is None:
        return None, None
    open_in, open_out = not _says_format(source), not _says_format(out)
    return (given if open_in else None), (given if open_out or not open_in else None)


def _says_format(path: str) -> bool:
    names = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
    return path.startswith("hf:") or any(s.lower() in names for s in Path(path).suffixes[-2:])


def _is_local(task: RowModule) -> bool:
    return all(str(lm.model).startswith("structq/") for lm in task.answering_lms())


def _has_prices(task: RowModule) -> bool:
    """Whether any LM is of a provider; whoever runs a server of their own pays nobody a call."""
    from structq.engines.backends.servers import ServerLM

    lms = task.answering_lms()
    return not _is_local(task) and any(not isinstance(lm, ServerLM) for lm in lms)


def count_rows(path: str, *, limit: int | None) -> int | None:
    """Lines of a file, for the bar; ``None`` where nobody looks or nobody can know."""
    plain = Path(path).suffix in (".jsonl", ".ndjson") and Path(path).is_file()
    if not sys.stderr.isatty() or not plain:
        return None
    with Path(path).open("rb") as file:
        return sum(1 for line in islice(file, limit) if line.strip())


def _dry_run(task: RowModule, rows: Iterator[Row], *, limit: int | None, source: str) -> int:
    from structq.cli.plan_view import show_plan

    good = next((row for row in rows if row.error is None), None)
    if good is None:
        raise LMError(f"{source!r} has no row that could be asked about")
    n_rows = 1 + sum(1 for _ in rows)
    show_plan(task, good.values, n_rows=n_rows)
    return 0
