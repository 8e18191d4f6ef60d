"""An artifact as a Python object: open it, run it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport.errors import ArtifactError
from lwmport.pipeline.reopen import reopen
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
    """Return the artifact at ``path``, ready to run: a model file beside its manifest, or a folder with one such.

    Raises:
        ArtifactError: there is no manifest beside it, or it names no such file; or the folder holds several.
        RunnerError: the runtime refuses the file.
    """
    found = reopen(Path(path))
    if len(found.parts) != 1:
        names = ", ".join(part.path for part in found.parts)
        raise ArtifactError(f"expected one of {names} in {found.folder}, found the folder of all")
    (part,) = found.parts
    return Model(path=found.path(part), signature=part.signature, runner=open_runner(found.path(part)))
