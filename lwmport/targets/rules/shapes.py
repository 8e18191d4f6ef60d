"""Looks at shapes: dynamic, empty, or settled only while the model runs."""

from collections.abc import Collection, Iterator
from typing import Final

from lwmport.targets.graphs.record import RANDOM, Graph, Node
from lwmport.targets.rules.files import shown
from lwmport.targets.rules.rule import Hit, Look, Subject

SHAPE_OPERANDS: Final = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operator -> its operands that settle the shape of its output."""

COUNTED: Final = ("NonZero", "NonMaxSuppression", "Unique", "Compress")
"""Operators whose output's size depends on the values that they read."""


SCALED: Final = ("Resize", "Upsample")
"""Operators of which a parser needs the scales even where the file tells the size of the result."""

MADE_FROM_NOTHING: Final = ("Range", "ConstantOfShape", *SCALED)
"""Operators whose shape operands have to be known, and not only follow from the sizes of the inputs."""


def dynamic_inputs(subject: Subject) -> Iterator[Hit]:
    """Yield inputs with a size that is not a number above 0: a size of 0 stands for an unknown one in old exports."""
    for value in subject.graph.inputs:
        if not value.static or 0 in (value.shape or ()):
            yield Hit(where=value.name, found=shown(value))


def unknown_sizes(subject: Subject) -> Iterator[Hit]:
    """Yield inputs with a size that is not a number."""
    return (Hit(where=value.name, found=shown(value)) for value in subject.graph.inputs if not value.static)


def settled_at_run_time(subject: Subject) -> Iterator[Hit]:
    """Yield nodes whose output's shape depends on values: counted ones, and those with a computed shape operand.

    What follows from the sizes of the inputs is settled with them.
    """
    yield from (Hit.at(node, "as many outputs as values that fit") for node in subject.graph.of(*COUNTED))
    sized = _by_sizes(subject.graph)
    for node in subject.graph.of(*SHAPE_OPERANDS):
        if node.scope and not node.scope.startswith("/"):  # a function knows its operands where it is called
            continue
        computed = _computed(node, subject.graph.known if node.op in MADE_FROM_NOTHING else sized)
        if computed and (node.op in SCALED or not _known(subject, node)):
            yield Hit.at(node, f"the operand {computed[0]} is computed")


def computed_shape_operands(subject: Subject) -> Iterator[Hit]:
    """Yield nodes whose shape operands are not constants."""
    for node in subject.graph.of(*SHAPE_OPERANDS):
        computed = _computed(node, subject.graph.known)
        if computed:
            yield Hit.at(node, f"the operand {computed[0]} is computed")


def empty_results(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that make a tensor without elements; a constant without any is an operand that is left out."""
    for node in subject.graph.nodes:
        if node.op != "Constant" and any(0 in (subject.graph.shape(name) or ()) for name in node.outputs):
            yield Hit.at(node, "a result without elements")


def input_rank_above(limit: int) -> Look:
    """Return a look for inputs of more axes than an option can hold."""

    def look(subject: Subject) -> Iterator[Hit]:
        return (
            Hit(where=value.name, found=f"an input of {value.rank} axes")
            for value in subject.graph.inputs
            if (value.rank or 0) > limit
        )

    return look


def square_coincidence(subject: Subject) -> Iterator[Hit]:
    """Yield attention-like products of [b, c, h * w] where c, h and w are equal: one MIGraphX's quantizer mistakes."""
    for node in subject.graph.of("Conv"):
        shape = subject.graph.shape(next(iter(node.outputs), "")) or ()
        reads = {reader.op for name in node.outputs for reader in subject.graph.readers.get(name, ())}
        if len(shape) == 4 and shape[1] == shape[2] == shape[3] and "Reshape" in reads:
            yield Hit.at(node, f"channels, height and width are all {shape[1]}")


def _computed(node: Node, known: Collection[str]) -> list[str]:
    """Return the shape operands of a node that are not known."""
    names = [node.input(place) for place in SHAPE_OPERANDS[node.op]]
    return [name for name in names if name and name not in known]


def _by_sizes(graph: Graph) -> frozenset[str]:
    """Return what follows from constants and the sizes of values."""
    found = set(graph.constants)
    for node in graph.nodes:
        if node.op in {"Shape", "Size"} or (
            node.op not in RANDOM and all(name in found for name in node.inputs if name)
        ):
            found.update(node.outputs)
    return frozenset(found)


def _known(subject: Subject, node: Node) -> bool:
    return all(
        all(isinstance(dim, int) for dim in subject.graph.shape(name) or ("?",)) for name in node.outputs if name
    )
