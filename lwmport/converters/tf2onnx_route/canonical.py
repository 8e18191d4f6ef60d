"""The same bytes every time: tf2onnx walks sets of objects, so that its order and its numbers follow addresses."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

_WRAPPER: Final = "StatefulPartitionedCall/"
"""The call of the signature's function, which tf2onnx has inlined and left in all names."""

_NUMBER: Final = re.compile(r"__\d+$")
"""What tf2onnx appends to make a name unique."""

_READ: Final = "/ReadVariableOp"
"""The end of the name of a weight: the operator that read it."""


class _Names:
    """Hands out each name once, with a number behind it from the second time on."""

    def __init__(self, taken: list[str]) -> None:
        self._counts = Counter(taken)

    def unique(self, name: str) -> str:
        count = self._counts[name]
        self._counts[name] += 1
        return name if not count else self.unique(f"{name}_{count}")


def make_canonical(graph: Any) -> None:
    """Order nodes and constants by the way from outputs to inputs, share equal constants, and rename what is inside."""
    makers = {output: node for node in graph.node for output in node.output}
    nodes = list(_ordered(graph, makers))
    edge = [value.name for value in (*graph.input, *graph.output)]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    renamed: dict[str, str] = {name: name for name in ("", *edge)}
    kept: dict[bytes, Any] = {}
    names = _Names(edge)
    for node in nodes:
        for name in node.input:
            if name in constants and name not in renamed:
                renamed[name] = _keep(constants[name], kept, names)
        node.name = names.unique(_stem(node.name))
        for index, name in enumerate(node.output):
            renamed.setdefault(name, f"{node.name}:{index}")
    for node in nodes:
        node.input[:] = [renamed[name] for name in node.input]
        node.output[:] = [renamed[name] for name in node.output]
    graph.ClearField("doc_string")  # names the folder that was converted
    _replace(graph.node, nodes)
    _replace(graph.initializer, list(kept.values()))


def _ordered(graph: Any, makers: dict[str, Any]) -> Iterator[Any]:
    """Yield every node that an output needs, each after those that it reads."""
    done: set[str] = set()
    waiting = [makers[value.name] for value in reversed(graph.output)]
    while waiting:
        node = waiting[-1]
        needed = [makers[name] for name in node.input if name in makers and makers[name].output[0] not in done]
        if node.output[0] in done or not needed:
            waiting.pop()
            if node.output[0] not in done:
                done.add(node.output[0])
                yield node
        else:
            waiting.extend(reversed(needed))


def _keep(tensor: Any, kept: dict[bytes, Any], names: _Names) -> str:
    """Return the new name of a constant, which is that of an equal one where there is any."""
    content = type(tensor)()
    content.CopyFrom(tensor)
    content.name = ""
    key = hashlib.sha256(content.SerializeToString(deterministic=True)).digest()
    if key not in kept:
        stem = _stem(tensor.name.partition(":")[0])
        weight, read, _ = stem.partition(_READ)
        content.name = names.unique(weight if read else "constant")
        kept[key] = content
    return str(kept[key].name)


def _stem(name: str) -> str:
    return _NUMBER.sub("", name.removeprefix(_WRAPPER))


def _replace(field: Any, values: list[Any]) -> None:
    copies = [type(value)() for value in values]
    for copy, value in zip(copies, values, strict=True):
        copy.CopyFrom(value)
    del field[:]
    field.extend(copies)
