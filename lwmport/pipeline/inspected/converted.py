"""What `lwmport convert` and `lwmport assemble` wrote."""

from pathlib import Path

from lwmport import manifest
from lwmport.manifest import Manifest
from lwmport.pipeline.assemble import package
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.inspected.record import Inspection, part_of, size_of, told
from lwmport.pipeline.reopen import folder_of
from lwmport.wording import shown


def converted(path: Path) -> Inspection:
    """Return what a folder of converted models is."""
    made = manifest.read(path)
    parts = [
        part_of(f"{part.name}: {part.path}", part.signature.inputs, part.signature.outputs, part.operators)
        for part in made.components
    ]
    return Inspection(
        kind="models that 'lwmport convert' wrote",
        path=path,
        facts=converted_facts(made),
        bytes=size_of(path),
        parts=tuple(parts),
        next=next_of(path, made),
    )


def assembled(path: Path) -> Inspection:
    """Return what an assembled model is."""
    found = open_package(path)
    language = converted(found.language)
    verdicts = ", ".join(f"{name} {verdict}" for name, verdict in found.record.verdicts.items())
    return Inspection(
        kind="a model that 'lwmport assemble' made",
        path=path,
        facts={**language.facts, "verdict": verdicts, "producer": f"lwmport {found.record.lwmport}"},
        bytes=size_of(path),
        parts=language.parts,
        next=(f"ask it: lwmport chat {path}", *language.next),
    )


def converted_facts(made: Manifest) -> dict[str, str]:
    """Return what a manifest says, by name."""
    opsets = dict.fromkeys(str(part.details["opset"]) for part in made.components if "opset" in part.details)
    facts = {
        "component": made.component,
        "format": made.artifact_format,
        "dialect": made.dialect,
        "opset": ", ".join(opsets),
        "options": ", ".join(f"{name} {value}" for name, value in made.options.items()),
        "weights": str(made.weights.get("description", "")),
        "verdict": made.verdict,
        "phases": ", ".join(f"{phase}: {component}" for phase, component in made.phases.items()),
        "producer": f"lwmport {made.lwmport}",
    }
    return told({name: shown(value) if name == "weights" else value for name, value in facts.items()})


def next_of(path: Path, made: Manifest) -> tuple[str, ...]:
    """Return what can be done with a converted model, or a folder of them."""
    checkpoint = "" if made.weights.get("kind") == "seeded" else " --checkpoint CHECKPOINT"
    return (
        f"judge it again: lwmport validate {path}{checkpoint}",
        f"hand it over: lwmport bundle {folder_of(path)} --target TARGET --out FILE.zip{checkpoint}",
    )


def is_converted(path: Path) -> bool:
    """Return whether a folder holds converted models."""
    return (path / manifest.NAME).is_file()


def is_assembled(path: Path) -> bool:
    """Return whether a folder holds an assembled model."""
    return (path / package.NAME).is_file() and is_converted(path / package.LANGUAGE)
