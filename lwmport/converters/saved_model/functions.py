"""Traced TensorFlow functions with the signature of a component."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from lwmport.types import Signature, TensorSpec


def traced(tf: Any, signature: Signature, serve: Callable[..., list[Any]]) -> Any:
    """Return ``serve`` traced once, with the inputs and the outputs of the signature, by name."""

    def by_name(*inputs: Any) -> dict[str, Any]:
        return dict(zip(names, named(tf, signature, serve(*inputs)), strict=True))

    names = [spec.name for spec in signature.outputs]
    # The name of the Python function is a part of names in the file.
    by_name.__name__ = "serve"
    specs = [tensor_spec(tf, spec) for spec in signature.inputs]
    return tf.function(by_name, input_signature=specs, autograph=False).get_concrete_function()


def named(tf: Any, signature: Signature, outputs: list[Any]) -> list[Any]:
    """Return the outputs, each behind an Identity that carries its name."""
    pairs = zip(signature.outputs, outputs, strict=True)
    return [tf.identity(value, name=spec.name) for spec, value in pairs]


def sizes(spec: TensorSpec) -> list[int | None]:
    """Return the shape of a tensor as TensorFlow writes it: a dynamic size is None."""
    return [dim if isinstance(dim, int) else None for dim in spec.shape]


def tensor_spec(tf: Any, spec: TensorSpec) -> Any:
    """Return TensorFlow's own record of an input."""
    return tf.TensorSpec(sizes(spec), spec.dtype, name=spec.name)


def count_operators(graph: Any) -> dict[str, int]:
    """Return how many nodes of each operator a GraphDef holds, its functions included, most frequent first."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    counts = Counter(str(node.op) for node in nodes)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
