"""The same bytes every time: TensorFlow numbers its functions through the life of a process, and signs with a clock."""

import re
from pathlib import Path
from typing import Any, Final

_NUMBERED: Final = re.compile(r"(?P<stem>.+)_(?P<number>\d+)")
"""What TensorFlow calls a traced function, the body of a loop included: a name, and a counter of the process."""

_UNUSED: Final = "___redundant_placeholder"
"""What the condition of a loop calls an argument that it does not read: its own name in front, a number behind."""

_FORGOTTEN: Final = ("_gradient_op_type",)
"""Attributes of a call that hold the process's counter: the name under which Python registered a gradient."""

_ARGUMENT: Final = "_user_specified_name"


def make_canonical(folder: Path) -> None:
    """Rewrite a SavedModel with functions numbered from 0, maps in order, and nothing of this machine or moment."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    model.ParseFromString(path.read_bytes())
    for graph in model.meta_graphs:
        _renumber(graph)
    path.write_bytes(model.SerializeToString(deterministic=True))
    # Holds a random identity and the digest of the old bytes; a reader does without (tf.saved_model fingerprinting).
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _renumber(graph: Any) -> None:
    library = graph.graph_def.library.function
    names = _new_names(function.signature.name for function in library)
    for function in library:
        function.signature.name = names.get(function.signature.name, function.signature.name)
        for argument in function.arg_attr.values():
            _forget_handle(argument.attr)
        for argument in function.signature.input_arg:
            argument.name = _renamed(argument.name, names)
    library.sort(key=lambda function: function.signature.name)
    nodes = [*graph.graph_def.node, *(node for function in library for node in function.node_def)]
    for node in nodes:
        _rename_calls(node, names)
    _rename_objects(graph.object_graph_def, names)


def _new_names(names: Any) -> dict[str, str]:
    """Return old name -> new name: the numbers of each stem become 0, 1, ... in their order."""
    found: dict[str, list[int]] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, names)):
        found.setdefault(match["stem"], []).append(int(match["number"]))
    return {
        f"{stem}_{number}": f"{stem}_{index}"
        for stem, numbers in found.items()
        for index, number in enumerate(sorted(numbers))
    }


def _renamed(argument: str, names: dict[str, str]) -> str:
    """Return the name of an argument; that of one which nothing reads holds its function's, in small letters."""
    owner, unused, number = argument.partition(_UNUSED)
    small = {old.lower(): new.lower() for old, new in names.items() if unused and owner.endswith(old.lower())}
    old = max(small, key=len, default="")
    return f"{owner.removesuffix(old)}{small[old]}{unused}{number}" if old else argument


def _rename_calls(node: Any, names: dict[str, str]) -> None:
    node.op = names.get(node.op, node.op)
    for attribute in _FORGOTTEN:
        node.attr.pop(attribute, None)
    if "config_proto" in node.attr:
        node.attr["config_proto"].s = b""  # lists the devices of this machine; empty is the default
    for value in node.attr.values():
        if value.HasField("func"):
            value.func.name = names.get(value.func.name, value.func.name)


def _forget_handle(attributes: Any) -> None:
    """Drop the name of a captured variable's argument: the number that its handle had in the process."""
    if _ARGUMENT in attributes and attributes[_ARGUMENT].s.isdigit():
        del attributes[_ARGUMENT]


def _rename_objects(objects: Any, names: dict[str, str]) -> None:
    for node in objects.nodes:
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = names.get(bare.concrete_function_name, bare.concrete_function_name)
        if node.HasField("function"):
            node.function.concrete_functions[:] = [names.get(name, name) for name in node.function.concrete_functions]
        if node.HasField("captured_tensor"):
            captured = node.captured_tensor
            captured.concrete_function = names.get(captured.concrete_function, captured.concrete_function)
    for old, new in names.items():
        if old in objects.concrete_functions and old != new:
            objects.concrete_functions[new].CopyFrom(objects.concrete_functions[old])
            del objects.concrete_functions[old]
