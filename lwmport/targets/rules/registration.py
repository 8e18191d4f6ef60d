"""Looks at what a parser finds an operator by: opset, domain, name, function, body."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from lwmport.targets import operators
from lwmport.targets.ascend import npu_rules as npu
from lwmport.targets.graphs.record import Node
from lwmport.targets.rules.rule import Hit, Look, Subject
from lwmport.types import Severity

STANDARD: Final = ("", "ai.onnx")
ASCEND_DOMAINS: Final = ("", "npu", "mmdeploy")
OLD_CANN: Final = (6, 0)
"""Before it, parsers were registered up to opset 13 (Ascend/pytorch v2.0.4, for CANN 5.0.4)."""

LOOPS: Final = ("Loop", "Scan", "SequenceMap")


def ascend_opsets(subject: Subject) -> tuple[int, int]:
    """Return the opsets that a CANN has parsers for."""
    return (8, 13) if subject.toolkit and subject.toolkit < OLD_CANN else (8, 18)


def opset_for_ascend(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if ATC has no parser at the opset of the model."""
    low, high = ascend_opsets(subject)
    if not low <= subject.graph.opset <= high:
        yield Hit(found=f"opset {subject.graph.opset}, where ATC has parsers for {low} to {high}")


def opset_within(low: int, high: int) -> Look:
    """Return a look for a default domain outside a range of versions."""

    def look(subject: Subject) -> Iterator[Hit]:
        if not low <= subject.graph.opset <= high:
            yield Hit(found=f"opset {subject.graph.opset}, where {low} to {high} are read")

    return look


def domains_other_than(*known: str) -> Look:
    """Return a look for nodes of other domains; calls of functions that the model carries count too."""

    def look(subject: Subject) -> Iterator[Hit]:
        for node in subject.graph.nodes:
            if node.domain not in known:
                yield _hit(node, f"domain {node.domain!r}")

    return look


def foreign_domains_without_function(*known: str) -> Look:
    """Return a look for nodes of unknown domains that no function of the model defines."""

    def look(subject: Subject) -> Iterator[Hit]:
        for node in subject.graph.nodes:
            if node.domain not in known and (node.domain, node.op) not in subject.graph.functions:
                yield _hit(node, f"domain {node.domain!r}")

    return look


def unregistered_for_ascend(subject: Subject) -> Iterator[Hit]:
    """Yield nodes whose operator no parser of CANN is registered for, at the opset or at any."""
    low, high = ascend_opsets(subject)
    opset = min(max(subject.graph.opset, low), high)
    for node in subject.graph.nodes:
        if node.domain not in ASCEND_DOMAINS or node.op in ("Loop", "Scan"):
            continue
        found = operators.ascend_opsets(node.domain, node.op)
        if found is None:
            yield _hit(node, "no parser at any opset")
        elif not node.domain and not found[0] <= opset <= found[1]:
            yield _hit(node, f"a parser for opsets {found[0]} to {found[1]}, none for {opset}")


def unlisted_for_chip(subject: Subject) -> Iterator[Hit]:
    """Yield operators whose open kernel is marked as absent on the chip, once each."""
    seen = set()
    for node in subject.graph.nodes:
        known = node.domain == npu.DOMAIN and node.op in npu.FUSED  # these have a rule of their own
        if known or (node.domain, node.op) in seen:
            continue
        if operators.ascend_unlisted(node.domain, node.op, subject.chip.family):
            seen.add((node.domain, node.op))
            yield _hit(node, f"the open kernels list none for {subject.chip.name}")


def unknown_to_compass(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that Compass's ONNX parser has no class for."""
    functions = subject.graph.functions
    for node in subject.graph.nodes:
        domain = "" if node.domain in STANDARD else node.domain
        if operators.compass_versions(domain, node.op) is None and (node.domain, node.op) not in functions:
            yield _hit(node, "no class in the parser")


def newer_than_compass(subject: Subject) -> Iterator[Hit]:
    """Yield operators whose schema at the opset is newer than the newest class of the parser, once each."""
    seen = set()
    for node in subject.graph.nodes:
        versions = operators.compass_versions("", node.op) if node.domain in STANDARD else None
        needed = since(node.op, subject.graph.opset)
        if versions and node.op not in seen and max(versions) < needed:
            seen.add(node.op)
            yield _hit(node, f"version {needed}, where the parser's newest is {max(versions)}")


def since(operator: str, opset: int) -> int:
    """Return the version of an operator that an opset means, 0 if it has none."""
    import onnx

    try:
        return int(onnx.defs.get_schema(operator, opset).since_version)
    except onnx.defs.SchemaError:
        return 0


def unknown_to_migraphx(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that MIGraphX reads no operator for."""
    return (_hit(node, "no such operator") for node in migraphx_refused(subject))


def migraphx_refused(subject: Subject) -> Iterable[Node]:
    """Return the nodes that MIGraphX reads no operator for."""
    functions = subject.graph.functions
    return [
        node
        for node in subject.graph.nodes
        if (node.domain, node.op) not in functions and operators.migraphx_dtypes(node.op) is None
    ]


def more_than_ten_refused(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if ONNX Runtime's provider would give up on the whole graph."""
    count = len(list(migraphx_refused(subject)))
    if count > 10:
        yield Hit(found=f"{count} nodes that MIGraphX does not take")


def unknown_to_onnx(subject: Subject) -> Iterator[Hit]:
    """Yield nodes of the default domain that ONNX has no such operator for at the opset."""
    for node in subject.graph.nodes:
        if node.domain in STANDARD and not since(node.op, subject.graph.opset):
            yield _hit(node, f"no such operator at opset {subject.graph.opset}")


def functions_carried(subject: Subject) -> Iterator[Hit]:
    """Yield every function that the model carries."""
    for domain, name in subject.graph.functions:
        yield Hit(where=f"{domain}.{name}", operator=name, found="a function of the model's own")


def operators_named(*names: str) -> Look:
    """Return a look for nodes of some operators of the default domain."""

    def look(subject: Subject) -> Iterator[Hit]:
        return (_hit(node, f"a {node.op} node") for node in subject.graph.of(*names))

    return look


def bodies_for_ascend(subject: Subject) -> Iterator[Hit]:
    """Yield loops, which have no parser, and Ifs, which have one: a warning."""
    yield from operators_named(*LOOPS)(subject)
    for hit in operators_named("If")(subject):
        yield replace(hit, severity=Severity.WARNING)


def several_versions(subject: Subject) -> Iterator[Hit]:
    """Yield domains that nothing uses, or whose version is above that of the default domain."""
    used = {node.domain for node in subject.graph.nodes}
    for domain, version in subject.graph.opsets.items():
        if domain and (domain not in used or version > subject.graph.opset):
            yield Hit(where=domain, found=f"version {version} of the domain {domain!r} beside {subject.graph.opset}")


def custom_tflite(subject: Subject) -> Iterator[Hit]:
    """Yield custom operators of a TFLite file: TensorFlow's own (Flex) and others."""
    return (_hit(node, f"the custom operator {node.op}") for node in subject.graph.nodes if node.domain == "custom")


def unknown_tflite_to_compass(subject: Subject) -> Iterator[Hit]:
    """Yield TFLite operators that Compass's parser has no class for."""
    for node in subject.graph.nodes:
        if node.domain != "custom" and operators.compass_tflite_version(node.op) is None:
            yield _hit(node, "no class in the parser")


def newer_tflite_than_compass(subject: Subject) -> Iterator[Hit]:
    """Yield TFLite operators of a newer version than the parser knows, once each."""
    seen = set()
    for node in subject.graph.nodes:
        newest = operators.compass_tflite_version(node.op)
        if newest is not None and node.version > newest and node.op not in seen:
            seen.add(node.op)
            yield _hit(node, f"version {node.version}, where the parser's newest is {newest}")


def any_model(found: str) -> Look:
    """Return a look that always hits: for what holds for a format as such."""
    return lambda _subject: iter([Hit(found=found)])


def _hit(node: Node, found: str) -> Hit:
    return Hit(where=node.name or next(iter(node.outputs), ""), operator=node.op, found=found)
