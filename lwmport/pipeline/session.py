"""A converted language model as a Python object that generates: open it, give it a prompt, go on token by token."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lwmport import manifest
from lwmport.errors import ArtifactError, UsageError
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.subject import RECORDS, Way, read_record, way_of
from lwmport.processors import processors
from lwmport.requests import check_arguments
from lwmport.runtime.registry import RUNNERS, open_runner, runner_for
from lwmport.runtime.session.backend import ARRAYS, BACKENDS, Backend, PhaseModel
from lwmport.runtime.session.token_session import TokenSession
from lwmport.runtime.spec import RunnerContext
from lwmport.types import DECODE, Component, Signature
from lwmport.wording import few

JAX: Final = "jax"
Parts = Mapping[str, tuple[str, Signature]]


class Session(TokenSession):
    """A language model that ``convert`` wrote, or the JAX model that it was made of, and the tokens that it holds.

    Args:
        folder: holds the artifacts beside their manifest, or what was compiled of them beside its records, each of
            which names runner, precision and threads (``lwmport compile``).
        runner: a runner that takes the artifacts (``lwmport list``), or ``jax`` for the JAX model itself, which is the
            reference; None for the usual runner of the artifacts.
        threads: threads of the runtime; None for one a processor.
        checkpoint: the weights that were converted, which ``jax`` needs, unless they were seeded ones.
        adapter: the LoRA adapter that was merged into them, if any.

    Raises:
        ArtifactError: there is no whole language model in the folder, or its manifest says no phases and states.
        CheckpointError: the weights of the reference are not those that were converted.
        RunnerError: the runtime refuses a file.
        UsageError: an unknown runner, or a checkpoint that nothing needs.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        runner: str | None = None,
        threads: int | None = None,
        checkpoint: str | None = None,
        adapter: str | Path | None = None,
    ) -> None:
        check_arguments(
            "Session",
            (folder, str | Path, "folder"),
            (runner, str | None, "runner"),
            (threads, int | None, "threads"),
            (checkpoint, str | None, "checkpoint"),
            (adapter, str | Path | None, "adapter"),
        )
        folder = Path(folder)
        runner = None if runner is None else JAX if runner.casefold() == JAX else RUNNERS.name_of(runner)
        folder, ways = _ways(folder)
        made = manifest.read(folder)
        entries = _entries(made, folder)
        if runner == JAX:
            found = Converted(
                folder=folder,
                manifest=made,
                parts=tuple(entries.values()),
                checkpoint=checkpoint,
                adapter=None if adapter is None else Path(adapter),
            )
            super().__init__(*_reference(found, entries))
            return
        for word, value in (("a checkpoint", checkpoint), ("an adapter", adapter)):
            if value is not None:
                raise UsageError(f"expected {word} with the runner {JAX!r} alone, found {value}")
        super().__init__(*_opened(folder, entries, ways, runner, threads))


def _entries(made: Manifest, folder: Path) -> dict[str, ComponentEntry]:
    """Return phase -> component.

    Raises:
        ArtifactError: the manifest tells no decode.
    """
    parts = {part.name: part for part in made.components}
    if DECODE not in made.phases:
        told = f"the phases {', '.join(made.phases)}" if made.phases else "no phases"
        raise ArtifactError(
            f"expected a language model with its phases in {folder / manifest.NAME}, found {made.component} with "
            f"{told}; convert a whole language model again, which tells them"
        )
    missing = sorted(set(made.phases.values()) - set(parts))
    if missing:
        raise ArtifactError(f"{folder / manifest.NAME}: expected phases of its components, found {few(missing)}")
    return {phase: parts[name] for phase, name in made.phases.items()}


def _ways(folder: Path) -> tuple[Path, dict[str, Way]]:
    """Return the folder of a manifest, and component -> how the record of a compilation says that it is run.

    Raises:
        ArtifactError: a record is damaged, or those of a folder are of models in several.
    """
    if (folder / manifest.NAME).is_file():
        return folder, {}
    records = [read_record(path) for path in sorted(folder.glob(RECORDS))]
    homes = {(folder / record.folder).resolve() for record in records}
    if len(homes) > 1:
        raise ArtifactError(
            f"expected what was compiled of the models of one folder in {folder}, found {few(map(str, sorted(homes)))}"
        )
    ways = {record.component: way_of(record, folder) for record in records}
    return (homes.pop() if homes else folder), ways


def _opened(
    folder: Path,
    entries: Mapping[str, ComponentEntry],
    ways: Mapping[str, Way],
    runner: str | None,
    threads: int | None,
) -> tuple[Backend, Parts]:
    """Return the artifacts, opened by their runners, and their signatures."""
    parts = {phase: (entry.name, entry.signature) for phase, entry in entries.items()}
    usual = {
        entry.path: Way(path=folder / entry.path, runner="", precision="float32", threads=0)
        for entry in entries.values()
    }
    own = {entry.path: ways.get(entry.name, usual[entry.path]) for entry in entries.values()}
    names = {path: runner_for(way.path, runner or way.runner or None).name for path, way in own.items()}
    runners = {
        entry.path: open_runner(
            own[entry.path].path,
            RunnerContext(
                threads=threads or own[entry.path].threads or processors(),
                signature=entry.signature,
                precision=own[entry.path].precision,
                session=True,
            ),
            names[entry.path],
        )
        for entry in {entry.path: entry for entry in entries.values()}.values()
    }
    models = {
        phase: PhaseModel(signature=entry.signature, runner=runners[entry.path]) for phase, entry in entries.items()
    }
    one = set(names.values())
    backend: Backend = BACKENDS[name if len(one) == 1 and (name := next(iter(one))) in BACKENDS else ARRAYS](models)
    return backend, parts


def _reference(found: Converted, entries: Mapping[str, ComponentEntry]) -> tuple[Backend, Parts]:
    """Return the JAX model in float32, and its signatures: of any batch."""
    from lwmport.runtime.session.jax import reference_backend

    components: dict[str, Component] = {phase: found.component(entry.name) for phase, entry in entries.items()}
    weights = found.component_weights(components[DECODE].name)
    parts = {phase: (component.name, component.signature) for phase, component in components.items()}
    return reference_backend(components, weights), parts
