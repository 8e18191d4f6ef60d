"""Looks of Compass's rules: what its parser has no class for, fails at, rewrites, or reads wrongly."""

import re
from collections.abc import Iterator
from typing import Any, Final

from lwmport.targets.aipu import operators
from lwmport.targets.rules import nodes, registration
from lwmport.targets.rules.rule import Hit, Subject

REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {("Reshape", "allowzero"): (1,)}
"""(operator, attribute) -> values at which Compass's parser fails, as run."""


def unknown(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that Compass's ONNX parser has no class for."""
    functions = subject.graph.functions
    for node in subject.graph.nodes:
        domain = "" if node.domain in registration.STANDARD else node.domain
        if operators.versions(domain, node.op) is None and (node.domain, node.op) not in functions:
            yield Hit.at(node, "no class in the parser")


def newer(subject: Subject) -> Iterator[Hit]:
    """Yield operators that are newer at the opset than the newest class of the parser, each once."""
    seen = set()
    for node in subject.graph.nodes:
        versions = operators.versions("", node.op) if node.domain in registration.STANDARD else None
        needed = registration.since(node.op, subject.graph.opset)
        if versions and node.op not in seen and max(versions) < needed:
            seen.add(node.op)
            yield Hit.at(node, f"version {needed}, where the parser's newest is {max(versions)}")


def unknown_tflite(subject: Subject) -> Iterator[Hit]:
    """Yield TFLite operators that Compass's parser has no class for."""
    for node in subject.graph.nodes:
        if node.domain != "custom" and operators.tflite_version(node.op) is None:
            yield Hit.at(node, "no class in the parser")


def newer_tflite(subject: Subject) -> Iterator[Hit]:
    """Yield TFLite operators of a newer version than the parser knows, once each."""
    seen = set()
    for node in subject.graph.nodes:
        newest = operators.tflite_version(node.op)
        if newest is not None and node.version > newest and node.op not in seen:
            seen.add(node.op)
            yield Hit.at(node, f"version {node.version}, where the parser's newest is {newest}")


def refused_attributes(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes at which Compass's parser fails."""
    return nodes.refused_values(subject, REFUSED)


def rows_by_gather_nd(subject: Subject) -> Iterator[Hit]:
    """Yield GatherND nodes whose indices name one axis alone."""
    for node in nodes.rows_of(subject.graph):
        indices = subject.graph.shape(node.input(1)) or ()
        yield Hit.at(node, f"indices of the shape [{', '.join(map(str, indices))}]")


def rewritten_names(subject: Subject) -> Iterator[Hit]:
    """Yield the number of node names with characters that Compass rewrites."""
    found = [node.name for node in subject.graph.nodes if re.search(r"[./:]", node.name)]
    if found:
        yield Hit(where=found[0], found=f"{len(found)} node names with '.', '/' or ':'")


def behind_the_tables(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if weights lie behind the tables of a TFLite file, by offsets of buffers."""
    found = [item.name for item in subject.graph.constants.values() if item.keys]
    if found:
        yield Hit(where=found[0], found=f"{len(found)} tensors behind the tables of the file")


def parser_memory(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if Compass's parser will need more than 8 GiB: about four times the weights."""
    weights = sum(item.nbytes for item in subject.graph.constants.values())
    if 4 * weights > 8 * 2**30:
        yield Hit(found=f"{weights / 2**30:.1f} GiB of weights")
