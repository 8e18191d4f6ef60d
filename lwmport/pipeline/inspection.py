"""What a file or a folder is: a model, a bundle, a checkpoint; what it says of itself, and what to do with it next.

Nothing in it is executed, and no weight is loaded.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from lwmport.checkpoints.gguf import MAGIC
from lwmport.pipeline.inspected.bundles import bundle_file, is_unpacked, unpacked
from lwmport.pipeline.inspected.checkpoints import adapter_folder, checkpoint_at, gguf_file, is_adapter
from lwmport.pipeline.inspected.converted import assembled, converted, is_assembled, is_converted
from lwmport.pipeline.inspected.graphs import graph_file, saved_model
from lwmport.pipeline.inspected.record import Inspection
from lwmport.runtime.registry import takers
from lwmport.targets.graphs.opening import READERS, is_saved_model


def inspect(text: str) -> Inspection:
    """Return what is at a path, which may have a checkpoint's prefix.

    Raises:
        PortError: there is nothing, or what is there is damaged or unknown.
    """
    path = Path(text)
    look = _look_of(path) if path.exists() else None
    return checkpoint_at(text) if look is None else look(path)


def _look_of(path: Path) -> Callable[[Path], Inspection] | None:
    """Return what looks at a path; None where it can only be a checkpoint."""
    if path.is_dir():
        return next((look for is_it, look in _FOLDERS if is_it(path)), None)
    if path.suffix.lower() in READERS:
        return graph_file
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        if head == MAGIC:
            return gguf_file
    if path.suffix.lower() == ".zip":
        return bundle_file
    return _compiled if path.is_file() and takers(path.suffix) else None


def _compiled(path: Path) -> Inspection:
    runners = takers(path.suffix)
    facts = {"runners": ", ".join(runner.name for runner in runners)}
    return Inspection(
        kind=f"a file that {runners[0].title} runs" if len(runners) == 1 else "a file for a runtime",
        path=path,
        facts=facts,
        bytes=path.stat().st_size,
        next=(f"run it beside its reference: lwmport validate {path} --runner {runners[0].name}",),
    )


_FOLDERS: Final[tuple[tuple[Callable[[Path], bool], Callable[[Path], Inspection]], ...]] = (
    (is_saved_model, saved_model),
    (is_unpacked, unpacked),
    (is_converted, converted),
    (is_assembled, assembled),
    (is_adapter, adapter_folder),
)
"""Whether a folder is one of these, and what looks at it; the first that fits."""
