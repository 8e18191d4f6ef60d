"""One runner as data: what it runs, what it needs, and how it opens a model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from lwmport.errors import UsageError
from lwmport.registry import load
from lwmport.runtime.needs import Need
from lwmport.types import Runner, Signature

MOST_THREADS: Final = 1024


@dataclass(frozen=True, kw_only=True)
class RunnerContext:
    """What a caller knows of a run. A runner takes from it what it needs.

    Attributes:
        threads: processors to use.
        signature: names, shapes and dtypes that inputs and outputs are to have, where the model file may not keep them.
        precision: the dtype to compute in, where the runtime has a choice.
        device: the number of the device, where there are several.
        options: a file with options of the runtime, as ``lwmport compile`` writes one.
        session: whether a session opens the model: what one run writes, the next one reads.
    """

    threads: int = 1
    signature: Signature | None = None
    precision: str = "float32"
    device: int = 0
    options: Path | None = None
    session: bool = False

    def __post_init__(self) -> None:
        """Refuse threads that no machine has processors for: runtimes start them all, which takes gigabytes."""
        if self.threads > MOST_THREADS:
            raise UsageError(f"expected at most {MOST_THREADS:,} threads, found {self.threads:,}")


Opener: TypeAlias = Callable[[Path, RunnerContext], Runner]


@dataclass(frozen=True, kw_only=True)
class RunnerSpec:
    """One way to run a model file.

    Attributes:
        name: what ``--runner`` takes.
        title: what runs, and where, in a few words.
        aliases: other words for it that ``--runner`` takes.
        suffixes: the endings of the files that it opens.
        opener: a function from a path and a `RunnerContext` to a `lwmport.types.Runner`, or where it is:
            ``"module:attribute"``, imported when a model is opened.
        needs: what must be there for it to start.
        priority: of the runners that take a suffix, the one with the highest is the usual one.
        device: whether it runs on a vendor's device, or on a vendor's emulation of one.
        numbered: whether `RunnerContext.device` chooses one of several devices.
        risk: what a model of an unknown sender could do. Such a model is then not run. Empty if it can do nothing.
        bundled: whether the ``verify.py`` of a bundle has it too, under the same name.
        precision: the precision that it computes in, whose tolerance counts where it is coarser than the model's own;
            empty where it computes as the model says.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    opener: str | Opener
    needs: tuple[Need, ...] = ()
    priority: int = 1
    device: bool = False
    numbered: bool = False
    risk: str = ""
    bundled: bool = False
    aliases: tuple[str, ...] = ()
    precision: str = ""

    def why_not(self) -> str:
        """Return in one line what is missing here and what to do, or an empty text. No runtime is imported."""
        return next((reason for need in self.needs if (reason := need())), "")

    def open(self, path: Path, context: RunnerContext) -> Runner:
        """Return the model, ready to run.

        Raises:
            RunnerError: the runtime or the device refuses it, or is not there.
            MissingExtraError: the runtime is an extra of this package that is not installed.
            PortError: ``opener`` leads to nothing.
        """
        return self._opener()(path, context)

    def _opener(self) -> Opener:
        if not isinstance(self.opener, str):
            return self.opener
        found: Opener = load(self.opener, f"the runner {self.name!r}")
        return found
