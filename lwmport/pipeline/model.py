"""An artifact as a Python object: open it, run it."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lwmport import manifest
from lwmport.errors import ArtifactError
from lwmport.pipeline.validate.subject import Subject, subjects_of
from lwmport.processors import processors
from lwmport.requests import check_arguments
from lwmport.runtime.inputs import as_arrays, check_inputs, fold_video
from lwmport.runtime.registry import RUNNERS, open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Runner, Signature
from lwmport.wording import few


@dataclass(frozen=True, kw_only=True)
class Model:
    """One opened artifact and the signature that its manifest promises. A ``with`` block closes it."""

    path: Path
    signature: Signature
    runner: Runner

    def run(self, **inputs: Any) -> dict[str, Array]:
        """Return every output by name.

        A video [batch, frames, ...] is folded into the batch and its outputs come back as [batch, frames, ...]; the
        artifact must have been converted for that batch, or for any.

        Raises:
            RunnerError: names, shapes, dtypes or indices do not fit the signature.
        """
        folded, unfold = fold_video(self.signature, as_arrays(inputs))
        check_inputs(self.signature.inputs, folded)
        return unfold(self.runner.run(folded))

    def close(self) -> None:
        """Give back what the model holds: memory, files, the device."""
        self.runner.close()

    def __enter__(self) -> Self:
        """Return the model."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the model."""
        self.close()


def load(path: str | Path, *, runner: str | None = None) -> Model:
    """Return the artifact at ``path``, ready to run: a model beside its manifest, or a file compiled from such a model.

    A folder with one model stands for that model. A tapped file returns its taps beside the outputs of the signature.
    The record of a compilation (``NAME.compilation.json``) stands for the model that it tells how to run. ``runner`` is
    what runs it, as in ``lwmport validate --runner``; by default the one of such a record, else the usual one.

    Raises:
        ArtifactError: there is no manifest beside it, or it names no such file; or the folder holds several.
        RunnerError: the runtime refuses the file.
        UsageError: the runner is unknown, or does not take such a file.
    """
    check_arguments("load", (path, str | Path, "path"), (runner, str | None, "runner"))
    path, runner = Path(path), None if runner is None else RUNNERS.name_of(runner)
    found = _tapped(path) or subjects_of(path).items
    if len(found) != 1:
        names = few(item.part.path for item in found)
        raise ArtifactError(f"expected one of {names} in {path}, found the folder of all")
    (item,) = found
    context = RunnerContext(threads=item.threads or processors(), signature=item.part.signature, precision=item.hint)
    opened = open_runner(item.path, context, runner or item.runner or None)
    return Model(path=item.path, signature=item.part.signature, runner=opened)


def _tapped(path: Path) -> tuple[Subject, ...]:
    """Return the tapped file at ``path``, with the signature of the model that it is beside; nothing for any other."""
    if not (path.parent / manifest.NAME).is_file():
        return ()
    made = manifest.read(path.parent)
    parts = [part for part in made.components if part.taps and part.taps.path == path.name]
    return tuple(Subject(path=path, part=part, form=made.artifact_format) for part in parts)
