"""The fastest way to run one model here: raced, chosen within a bound, opened again as it was written, and told."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lwmport import __version__, memory
from lwmport.errors import PortError, UsageError, said
from lwmport.extras import versions
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.race.entrants import Entrant, JobOf, entrants
from lwmport.pipeline.race.race import MARGIN, context_of, race, winner_of
from lwmport.pipeline.race.racer import server
from lwmport.pipeline.race.yardstick import SAME, Bound, Yardstick, by_itself, by_jax
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.subject import way_of
from lwmport.processors import described, processors
from lwmport.registry import check_known
from lwmport.reports import numbers
from lwmport.reports.race.files import names_of
from lwmport.reports.race.record import Race, RaceRow
from lwmport.targets.compile import record
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.samples import samples
from lwmport.targets.target import Target
from lwmport.types import Array, Compilation, Status

RUNTIMES: Final = ("onnxruntime", "openvino", "ai-edge-litert", "tensorflow", "jax")
"""Distributions whose versions are told, where they are installed."""

ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Raced:
    """A race, and what is to be compiled: the winner's job, None if no way keeps the bound."""

    race: Race
    yardstick: Yardstick
    timed: Mapping[str, Array]
    winner: Entrant | None = None

    @property
    def job(self) -> CompileJob | None:
        """The job of the winner, for the compiler of its target."""
        if self.winner is None:
            return None
        way = self.winner.contender
        return replace(
            self.winner.job, soc=way.engine, precision=way.precision, threads=way.threads, calibration=None, here=True
        )


def run_race(
    target: Target, job: CompileJob, found: Converted | None, job_of: JobOf, asked: Any, observer: Observer
) -> Raced:
    """Return the race of one model.

    Args:
        target: whose ways are raced.
        job: the model that was named.
        found: the converted folder that it lies in; None for a model of somebody else's.
        job_of: makes the job of a sibling.
        asked: has ``precision``, ``lossy``, ``rounds``, ``inputs``, ``samples``, ``checkpoint`` and ``gears`` of a
            request.
        observer: is told what is done.

    Raises:
        UsageError: the model does not take the inputs, or its format has no ways here.
        PortError: the reference cannot be run.
    """
    field = entrants(target, job, found, job_of)
    if not field:
        raise UsageError(f"expected a format that {target.name} can race, found {job.format} ({job.path})")
    check_known(
        "precision to race", asked.precision or SAME, dict.fromkeys([SAME, *(one.contender.precision for one in field)])
    )
    bound = Bound(precision=asked.precision or SAME, lossy=asked.lossy)
    weights = found is not None and (asked.checkpoint is not None or found.manifest.weights.get("kind") == "seeded")
    if found is not None and weights:
        yardstick = by_jax(found, job, bound, asked, observer)
    else:
        yardstick = by_itself(job, field[0].contender.engine, bound, observer)
    timed: Mapping[str, Array] = samples(job.signature.inputs, asked.gears[0]) if asked.gears else yardstick.feeds[0]
    rows = race(field, yardstick, timed, asked.rounds, observer)
    place = winner_of(rows)
    made = Race(
        component=job.name,
        artifact=job.path.name,
        facts=_facts(job, found, asked.rounds),
        reference=yardstick.reference,
        inputs=f"{yardstick.inputs}; timed on {_shapes(timed)}",
        bound=yardstick.bound,
        rows=rows,
        usual=next((row.way for row in rows if not row.reason), ""),
        winner="" if place is None else rows[place].way,
        sentence=_sentence(rows, place),
    )
    return Raced(race=made, yardstick=yardstick, timed=timed, winner=None if place is None else field[place])


def told(raced: Raced, made: Compilation) -> Compilation:
    """Return a compilation whose record says the winner's threads, and which race chose it."""
    if raced.winner is None:
        return made
    details = {**made.details, "threads": raced.winner.contender.threads, "race": names_of(made.component)[0]}
    return replace(made, details=details)


def verified(raced: Raced, made: Compilation, out: Path, observer: Observer) -> tuple[Race, Compilation]:
    """Return the race and the compilation, with what came of opening the winner again by nothing but its record.

    It failed if the bound is no longer kept.
    """
    if raced.winner is None or made.status is not Status.PASSED:
        return replace(raced.race, sentence=f"{raced.race.sentence}; {made.reason}"), made
    way = way_of(made, out)
    observer.phase(f"{made.component}: open the winner again by {record.name_of(made.component)}")
    context = replace(context_of(raced.winner), threads=way.threads, precision=way.precision)
    try:
        with closing(server(way.path, way.runner, context, raced.yardstick.feeds, raced.timed)) as asked:
            found = asked.ask(outputs=True)
        accuracy = raced.yardstick.judge(found["outputs"], way.precision)
        words = f"{accuracy.verdict} in {numbers.seconds(found['opens'])}: {accuracy.reason}"
        status, level = accuracy.verdict, accuracy.sqnr_db
        words += "" if level is None else f", {numbers.decibels(level)}"
    except PortError as error:
        status, words = Status.FAILED, said(error)
    race = replace(raced.race, record=record.name_of(made.component), verified=words)
    if status is Status.PASSED:
        return race, made
    return race, replace(made, status=Status.FAILED, reason=f"opened again by its record: {words}")


def _sentence(rows: Sequence[RaceRow], place: int | None) -> str:
    ran = sum(not row.reason for row in rows)
    of = f"{ran} of {len(rows)} ways raced"
    if place is None:
        return f"{of}; none keeps the bound"
    won = rows[place]
    first = next(number for number, row in enumerate(rows) if not row.reason)
    level = won.accuracy.sqnr_db if won.accuracy else None
    quality = "" if level is None else f" at {numbers.decibels(level)}"
    if place == first:
        return f"{of}; the usual one stays: {won.way}{quality}; no other that keeps the bound is {MARGIN:.0%} faster"
    ratio = numbers.number(won.ratio.median if won.ratio else 1.0)
    return f"{of}; {won.way} takes {ratio} of the time of {rows[first].way}{quality}"


def _shapes(feed: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in feed.items())


def _facts(job: CompileJob, found: Converted | None, rounds: int) -> dict[str, str]:
    installed = versions()
    runtimes = [f"{name} {installed[name]}" for name in RUNTIMES if name in installed]
    facts = {
        "machine": f"{described('model name') or platform.machine()}, {processors()} processors, "
        f"{numbers.size(memory.total_bytes() or 0)} of memory",
        "versions": ", ".join([f"lwmport {__version__}", f"Python {platform.python_version()}", *runtimes]),
        "rounds": f"{rounds}, in turns; each way in a process of its own",
        "model": job.name,
    }
    if found is not None:
        made = found.manifest
        facts["model"] = f"{job.name}, {found.precision}, {made.options.get('quantize') or 'not quantised'}"
        facts["weights"] = str(made.weights.get("description", ""))
    return facts
