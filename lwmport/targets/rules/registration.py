"""Looks at what a parser finds an operator by: opset, domain, name, function, body."""

from collections.abc import Iterator
from typing import Any, Final

from lwmport.targets.rules.rule import Hit, Look, Subject

STANDARD: Final = ("", "ai.onnx")


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
                yield Hit.at(node, f"domain {node.domain!r}")

    return look


def foreign_domains_without_function(*known: str) -> Look:
    """Return a look for nodes of unknown domains that no function of the model defines."""

    def look(subject: Subject) -> Iterator[Hit]:
        for node in subject.graph.nodes:
            if node.domain not in known and (node.domain, node.op) not in subject.graph.functions:
                yield Hit.at(node, f"domain {node.domain!r}")

    return look


def usual_value(schema: Any, attribute: str) -> Any:
    """Return what an attribute of a schema is where it is left out, as a node has it; None if it is nothing."""
    import onnx

    found = schema.attributes[attribute].default_value if attribute in schema.attributes else None
    if found is None or not found.type:
        return None
    value = onnx.helper.get_attribute_value(found)
    return value.decode() if isinstance(value, bytes) else tuple(value) if isinstance(value, list) else value


def since(operator: str, opset: int) -> int:
    """Return the version of an operator that an opset means, 0 if it has none."""
    from lwmport.targets.graphs.one_node import schema_of  # it loads onnx, which the list of targets does without

    found = schema_of(operator, opset)
    return 0 if found is None else int(found.since_version)


def unknown_to_onnx(subject: Subject) -> Iterator[Hit]:
    """Yield nodes of the default domain that ONNX has no such operator for at the opset."""
    for node in subject.graph.nodes:
        if node.domain in STANDARD and not since(node.op, subject.graph.opset):
            yield Hit.at(node, f"no such operator at opset {subject.graph.opset}")


def functions_carried(subject: Subject) -> Iterator[Hit]:
    """Yield every function that the model carries."""
    for domain, name in subject.graph.functions:
        yield Hit(where=f"{domain}.{name}", operator=name, found="a function of the model's own")


def operators_named(*names: str) -> Look:
    """Return a look for nodes of some operators of the default domain."""

    def look(subject: Subject) -> Iterator[Hit]:
        return (Hit.at(node, f"a {node.op} node") for node in subject.graph.of(*names))

    return look


def several_versions(subject: Subject) -> Iterator[Hit]:
    """Yield domains that nothing uses, or whose version is above that of the default domain."""
    used = {node.domain for node in subject.graph.nodes}
    for domain, version in subject.graph.opsets.items():
        if domain and (domain not in used or version > subject.graph.opset):
            yield Hit(where=domain, found=f"version {version} of the domain {domain!r} beside {subject.graph.opset}")


def custom_tflite(subject: Subject) -> Iterator[Hit]:
    """Yield custom operators of a TFLite file: TensorFlow's own (Flex) and others."""
    return (Hit.at(node, f"the custom operator {node.op}") for node in subject.graph.nodes if node.domain == "custom")


def any_model(found: str) -> Look:
    """Return a look that always hits: for what holds for a format as such."""
    return lambda _subject: iter([Hit(found=found)])
