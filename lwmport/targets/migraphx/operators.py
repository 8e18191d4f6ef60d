"""The operators that MIGraphX reads, with the dtypes that it documents for them."""

from typing import Final

from lwmport.targets.operators import ABSENT, OperatorList, listed

_LIST: Final = listed("migraphx_onnx")


def dtypes(operator: str) -> tuple[str, ...] | None:
    """Return the dtypes that MIGraphX documents for an operator; empty for any, None if it reads no such operator."""
    if operator in _LIST["dtypes"]:
        return tuple(_LIST["dtypes"][operator])
    return () if operator in _LIST["parsed"] else None


def _look(domain: str, operator: str, _opset: int) -> tuple[bool, str]:
    found = None if domain else dtypes(operator)
    return found is not None, ABSENT if found is None else ", ".join(found) or "parsed"


ONNX: Final = OperatorList(source=str(_LIST["source"]), look=_look)
