"""One component, traced and written in a dialect."""

from pathlib import Path

from lwmport import digest
from lwmport.converters import converter_for
from lwmport.graphs.trace import trace
from lwmport.pipeline.convert.request import Work
from lwmport.pipeline.weights import component_weights
from lwmport.types import Artifact, Component, Dialect


def lower(work: Work, component: Component, dialect: Dialect, folder: Path) -> tuple[Artifact, str]:
    """Return the artifact of a component in a dialect, written into ``folder``, and the program's digest."""
    weights = component_weights(work.family, component, work.weights)
    if not dialect.lowered:
        work.observer.phase(f"{component.name}: write {dialect.format}")
        renamed: Artifact = converter_for(dialect)(component, weights, dialect, folder, work.observer.progress)
        return renamed, digest.of_json({"component": component.name, "config": dict(component.config)})
    work.observer.phase(f"{component.name}: trace")
    program = trace(component, work.request.batch)
    work.observer.phase(f"{component.name}: write {dialect.format} in the dialect {dialect.name}")
    shared = [work.shared] if work.shared else []
    artifact: Artifact = converter_for(dialect)(program, weights, dialect, folder, work.observer.progress, *shared)
    return artifact, program.digest
