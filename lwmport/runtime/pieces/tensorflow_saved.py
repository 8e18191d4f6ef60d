"""A SavedModel: the graph behind its signature, and which key of its files holds which variable."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.tensorflow_nodes import CALLS, Flat, owner, whole
from lwmport.runtime.pieces.tensorflow_source import LARGE, Source, value_of
from lwmport.runtime.runners.tensorflow import SIGNATURE
from lwmport.types import Array


def read_saved(tf: Any, path: Path) -> Source:
    """Return the graph behind the signature ``serving_default``; its variables are left in their files.

    Raises:
        ArtifactError: it is no SavedModel, or has no such signature.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graphs = [graph for graph in model.meta_graphs if SIGNATURE in graph.signature_def]
    if not graphs:
        raise ArtifactError(f"expected the signature {SIGNATURE}, found none")
    meta = graphs[0]
    library, nodes = meta.graph_def.library.function, list(meta.graph_def.node)
    signature = meta.signature_def[SIGNATURE]
    inputs, outputs = (
        {name: whole(side[name].name) for name in sorted(side)} for side in (signature.inputs, signature.outputs)
    )
    rest = type(meta.graph_def)(library=meta.graph_def.library, versions=meta.graph_def.versions)
    flat = Flat(tf, rest)
    found = flat.add(nodes, [*inputs.values(), *outputs.values()])
    keys = _keys(tf, library, nodes, meta.saver_def.restore_op_name)
    opened: list[Any] = []

    def value(name: str) -> Array:
        node = flat.nodes[name]
        if node.op == "Const":
            return value_of(tf, node)
        if not opened:
            opened.append(tf.train.load_checkpoint(str(path / "variables" / "variables")))
        handle = owner(node.input[0]) if node.input else name
        if handle not in keys:
            raise ArtifactError(f"expected the variable {handle} in the files of {path}, found none")
        array: Array = opened[0].get_tensor(keys[handle])
        return array

    return Source(
        nodes=flat.nodes,
        rest=rest,
        inputs=dict(zip(inputs, found, strict=False)),
        outputs=dict(zip(outputs, found[len(inputs) :], strict=True)),
        constants=value,
        missing=frozenset(name for name, node in flat.nodes.items() if node.op == "Const" and node.ByteSize() > LARGE),
    )


def _keys(tf: Any, library: Iterable[Any], nodes: Sequence[Any], restore: str) -> dict[str, str]:
    """Return handle of a variable -> its key in the file of variables, as the model itself restores it.

    TensorFlow 2 restores in a function, whose arguments are the handles; TensorFlow 1 in the graph.
    """
    found = _restored(tf, nodes)
    functions = {function.signature.name: function for function in library}
    for call in [node for node in nodes if node.name == restore and node.op in CALLS]:
        function = functions[call.attr["f"].func.name]
        places = {each.name: place for place, each in enumerate(function.signature.input_arg)}
        inner = _restored(tf, function.node_def)
        found |= {owner(call.input[places[name]]): key for name, key in inner.items() if name in places}
    return found


def _restored(tf: Any, nodes: Iterable[Any]) -> dict[str, str]:
    """Return node of a handle, or argument of a function -> the key that is read for it."""
    by_name = {node.name: node for node in nodes}
    found: dict[str, str] = {}
    for node in by_name.values():
        source = node.input[1] if node.op == "AssignVariableOp" else ""
        for _ in by_name:
            if owner(source) not in by_name or by_name[owner(source)].op != "Identity":
                break
            source = by_name[owner(source)].input[0]
        reader = by_name.get(owner(source))
        if reader is not None and reader.op == "RestoreV2":
            names = tf.make_ndarray(by_name[owner(reader.input[1])].attr["value"].tensor)
            found[owner(node.input[0])] = names[int(whole(source).rpartition(":")[2])].decode()
    return found
