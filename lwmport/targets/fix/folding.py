"""Computing what does not depend on the inputs, as far as it is small, and dropping what nobody reads."""

import onnx

from lwmport.targets.fix.draft import Draft
from lwmport.targets.graphs.inference import constant_of, settle


def fold(draft: Draft) -> None:
    """Put constants in place of nodes that depend on constants and static sizes alone, as far as they are small."""
    constants_to_initializers(draft)
    values = draft.values
    if not values:
        return

    def rule(_draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if graph is not draft.model.graph or len(node.output) != 1 or node.output[0] not in values:
            return None
        graph.initializer.append(onnx.numpy_helper.from_array(values[node.output[0]], node.output[0]))
        return []

    draft.changed(f"computed {draft.rewrite(rule)} nodes that depend on no input")


def _is_output(draft: Draft, name: str) -> bool:
    return any(output.name == name for output in draft.model.graph.output)


def constants_to_initializers(draft: Draft) -> None:
    """Make Constant nodes initializers, which every reader of the graph knows where to find."""

    def rule(_draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Constant" or node.domain not in {"", "ai.onnx"} or _is_output(draft, node.output[0]):
            return None
        tensor = constant_of(node)
        if tensor is None:
            return None
        made = graph.initializer.add()
        made.CopyFrom(tensor)
        made.name = node.output[0]
        return []

    draft.rewrite(rule)


def drop_identities(draft: Draft) -> None:
    """Leave out Identity and Dropout (of inference) nodes, whose output is their input.

    Those that make an output of their body stay: ONNX lets no body return a value from outside of it.
    """
    same: dict[str, str] = {}

    def rule(_draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        training = len(node.input) > 2 and bool(node.input[2])
        used = [name for name in node.output if name]
        if node.op_type not in {"Identity", "Dropout"} or node.domain or training or len(used) != 1:
            return None
        if any(output.name == node.output[0] for output in graph.output) or not node.input[0]:
            return None
        same[node.output[0]] = node.input[0]
        return []

    count = draft.rewrite(rule)
    if not count:
        return
    for graph in draft.bodies():
        for node in graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = _end_of(same, name)
    draft.changed(f"left out {count} Identity and Dropout nodes")


def _end_of(same: dict[str, str], name: str) -> str:
    """Return where a chain of identities begins; in a circle, which no runtime takes, any of it."""
    seen = {name}
    while name in same and same[name] not in seen:
        name = same[name]
        seen.add(name)
    return name


def drop_unread(draft: Draft) -> None:
    """Drop nodes and initializers that nothing reads, and inferred shapes but those of the outputs."""
    graph = draft.model.graph
    while True:
        read = {output.name for output in graph.output}
        for body in draft.bodies():
            read |= {name for node in body.node for name in node.input} | {output.name for output in body.output}
        kept = [node for node in graph.node if any(name in read for name in node.output)]
        if len(kept) == len(graph.node):
            break
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in read:
            del graph.initializer[place]
    del graph.value_info[:]
    draft.changed()
    typed, _ = settle(draft.model)
    del graph.output[:]
    graph.output.extend(typed.graph.output)
