"""An If whose condition is known before the model runs is the branch that is taken."""

from collections.abc import Iterator, Mapping

import onnx

from lwmport.targets.fix.draft import Draft

ROUNDS = 8
"""Branches within branches."""


def take_known(draft: Draft) -> None:
    """Put the nodes of a branch in place of each If with a constant condition."""
    total = 0
    for _ in range(ROUNDS):
        values = draft.values

        def rule(
            draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto, values: Mapping[str, object] = values
        ) -> list[onnx.NodeProto] | None:
            if node.op_type != "If" or node.domain or not node.input:
                return None
            known = draft.constant(node.input[0])
            found = values.get(node.input[0]) if known is None else known
            size = getattr(found, "size", 0)
            if found is None or size != 1:
                return None
            name = "then_branch" if bool(found.reshape(-1)[0]) else "else_branch"  # type: ignore[attr-defined]
            branch = next((item.g for item in node.attribute if item.name == name), None)
            if branch is None or len(branch.output) != len(node.output) or branch.input:
                return None
            return list(_laid_open(draft, graph, node, branch))

        count = draft.rewrite(rule)
        total += count
        if not count:
            break
    if total:
        draft.changed(f"took the branch of {total} If nodes whose condition is known")


def _laid_open(
    draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto, branch: onnx.GraphProto
) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a branch under names of their own; its outputs are those of the If."""
    own = [tensor.name for tensor in branch.initializer]
    own += [sparse.values.name for sparse in branch.sparse_initializer]
    own += [name for inner in branch.node for name in inner.output if name]
    names = {name: draft.fresh(f"{node.name or 'If'}/{name}") for name in dict.fromkeys(own)}
    for tensor in branch.initializer:
        made = graph.initializer.add()
        made.CopyFrom(tensor)
        made.name = names[tensor.name]
    for sparse in branch.sparse_initializer:
        copied = graph.sparse_initializer.add()
        copied.CopyFrom(sparse)
        copied.values.name = names[sparse.values.name]
    for inner in branch.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(inner)
        copy.output[:] = [names.get(name, name) for name in copy.output]
        _rename_inputs(copy, names)
        yield copy
    for output, name in zip(branch.output, node.output, strict=True):
        if name:
            yield onnx.helper.make_node("Identity", [names.get(output.name, output.name)], [name], draft.fresh(name))


def _rename_inputs(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Give what a node and its bodies read other names."""
    node.input[:] = [names.get(name, name) for name in node.input]
    for item in node.attribute:
        for body in (*item.graphs, *([item.g] if item.HasField("g") else [])):
            for inner in body.node:
                _rename_inputs(inner, names)
            for output in body.output:
                output.name = names.get(output.name, output.name)
