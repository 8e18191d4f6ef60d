"""The runner that a port names: whether it fits, and what a compiler made, run in it and judged against JAX."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from lwmport.errors import UnusedOptionError, UsageError
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate
from lwmport.runtime.registry import RUNNERS, advice
from lwmport.types import Compilation, Status
from lwmport.verdicts import combined

Weights: TypeAlias = tuple[str | None, Path | None]
"""A checkpoint and an adapter."""


def check_fits(runner: str, target: str, converted: str, compiled: tuple[str, ...]) -> None:
    """Return if a runner takes the converted models of a port, or what the target's compiler makes of them.

    Args:
        runner: its name.
        target: the target's name.
        converted: how the files of the converted models end.
        compiled: how the files end that the compiler makes.

    Raises:
        UsageError: no such runner.
        UnusedOptionError: it takes neither.
    """
    suffixes = RUNNERS[runner].suffixes
    made = tuple(dict.fromkeys((converted, *compiled)))
    if not set(made) & set(suffixes):
        raise UnusedOptionError(
            f"expected a runner of what a port to {target} makes ({', '.join(made)}), found --runner {runner}, which "
            f"runs {', '.join(suffixes)}; {advice(*made)}",
            "runner",
        )


def judge_compiled(
    compilations: Iterable[Compilation], folder: Path, runner: str, weights: Weights, observer: Observer
) -> tuple[Status, str]:
    """Return the verdict on each compiled file that the runner takes, in one line.

    Each has its report in ``folder``/report/FILE. ``weights`` are the checkpoint that was converted and the LoRA
    adapter that was merged into it.

    Raises:
        UsageError: the runner takes none of the files that were made.
        RunnerError: it cannot start here.
    """
    found = [_judged(path, runner, weights, observer) for path in _taken(compilations, folder, runner)]
    return combined(status for status, _ in found), "; ".join(sentence for _, sentence in found)


def _judged(path: Path, runner: str, weights: Weights, observer: Observer) -> tuple[Status, str]:
    out = path.parent / "report" / path.name
    checkpoint, adapter = weights
    request = ValidateRequest(artifact=path, checkpoint=checkpoint, adapter=adapter, out=out, runner=runner)
    found = validate(request, observer)
    sentence = found.report.sentence if found.report else ""
    return found.status, f"{path.name} in {runner}: {sentence}"


def _taken(compilations: Iterable[Compilation], folder: Path, runner: str) -> list[Path]:
    """Return the products that a runner takes, at least one."""
    suffixes = RUNNERS[runner].suffixes
    products = [name for made in compilations for name in made.products]
    taken = [name for name in products if Path(name).suffix in suffixes]
    if not taken:
        found = ", ".join(products) or "nothing"
        raise UsageError(f"expected a compiled file that {runner} runs ({', '.join(suffixes)}), found {found}")
    return [folder / name for name in taken]
