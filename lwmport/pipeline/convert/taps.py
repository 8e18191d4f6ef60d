"""The tapped model of a component: written beside its model, told in the manifest, and taken away with it."""

from lwmport import manifest
from lwmport.checkpoints.model_weights import component_weights
from lwmport.converters.taps import convert_tapped
from lwmport.pipeline.convert.lower import program_of
from lwmport.pipeline.convert.work import Work
from lwmport.types import Artifact, Component


def check_taps(work: Work) -> None:
    """Return if every component has what was asked for, before anything is written.

    Raises:
        UsageError: one has nothing to tap.
    """
    if work.request.taps:
        for component in work.family.components:
            program_of(work, component, work.request.taps)


def write_taps(work: Work, component: Component, artifact: Artifact) -> manifest.Taps:
    """Write the tapped model beside an artifact that was just written, and return what the manifest tells of it."""
    kind = work.request.taps or ""
    program, tapped = program_of(work, component), program_of(work, component, kind)
    work.observer.phase(f"{component.name}: write {kind} as taps beside it")
    weights = component_weights(work.family, component, work.weights)
    beside = convert_tapped(program, tapped, weights, work.dialect, artifact.path, work.observer.progress)
    names = [spec.name for spec in tapped.signature.outputs[len(program.signature.outputs) :]]
    return manifest.Taps(kind=kind, path=beside.path.name, names=tuple(names), files=manifest.file_entries(beside))
