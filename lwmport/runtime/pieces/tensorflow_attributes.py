"""The attributes of a TensorFlow node as plain values."""

from typing import Any


def attributes(tf: Any, node: Any) -> dict[str, Any]:
    """Return the attributes by name, without those that TensorFlow keeps for itself (``_output_shapes``).

    Dtypes are numpy's names, shapes lists (-1 for sizes that may change, ``?`` without a number of axes), functions
    their names, tensors arrays.
    """
    return {name: _plain(tf, value) for name, value in sorted(node.attr.items()) if not name.startswith("_")}


def _plain(tf: Any, value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "list":
        return [_plain_item(tf, field.name, each) for field, many in value.list.ListFields() for each in many]
    return _plain_item(tf, kind, getattr(value, kind)) if kind else ""


def _plain_item(tf: Any, kind: str, value: Any) -> Any:
    if kind == "type":
        return tf.as_dtype(value).name
    if kind == "shape":
        shape = tf.TensorShape(value)
        return "?" if shape.rank is None else [-1 if size is None else size for size in shape.as_list()]
    if kind == "s":
        return value.decode("utf-8", "replace")
    if kind == "func":
        return value.name
    if kind == "tensor":
        return tf.make_ndarray(value)
    return value
