"""Which module a node of an ONNX file was written in, where its exporter tells that."""

import ast
from typing import Final

import onnx

SCOPES: Final = "pkg.torch.onnx.name_scopes"
"""The key of a node's metadata in which torch.onnx lists the modules around an operator, outermost first, and the
operator last (torch/onnx/_internal/exporter/_core.py)."""

LONGEST: Final = 1 << 14
"""Letters of such a list that are read."""


def module_of(node: onnx.NodeProto) -> tuple[str, ...]:
    """Return the module of a node, in parts; empty where its exporter tells none.

    The exporter of TorchScript tells it by the name: ``/model/layers.0/mlp/MatMul``.
    """
    for item in node.metadata_props:
        if item.key == SCOPES and len(item.value) <= LONGEST:
            return _parts(item.value)
    if not node.name.startswith("/"):
        return ()
    return tuple(part for part in node.name.replace(".", "/").split("/")[1:-1] if part)


def _parts(text: str) -> tuple[str, ...]:
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if not isinstance(scopes, list) or len(scopes) < 2 or not all(isinstance(scope, str) for scope in scopes):
        return ()
    return tuple(part for part in scopes[-2].split(".") if part)
