"""An artifact as a Python object: open it, run it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport import manifest
from lwmport.errors import ArtifactError
from lwmport.pipeline.validate.judge import open_runner
from lwmport.runtime.inputs import as_arrays, check_inputs, fold_video
from lwmport.types import Array, Runner, Signature


@dataclass(frozen=True, kw_only=True)
class Model:
    """One opened artifact and the signature that its manifest promises."""

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


def load(path: str | Path) -> Model:
    """Return the artifact at ``path``, a model file or a tapped one beside its manifest, ready to run.

    A tapped one returns its taps behind the outputs of the signature.

    Raises:
        ArtifactError: there is no manifest beside it, or it names no such file.
        RunnerError: the runtime refuses the file.
    """
    path = Path(path)
    made = manifest.read(path.parent)
    found = [part for part in made.components if path.name in (part.path, part.taps and part.taps.path)]
    if not found:
        names = ", ".join(part.path for part in made.components)
        raise ArtifactError(f"expected one of {names} in {path.parent}, found {path.name}")
    return Model(path=path, signature=found[0].signature, runner=open_runner(path))
