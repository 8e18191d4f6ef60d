"""The operators that Compass's parser has classes for, in ONNX and in TFLite."""

from typing import Final

from lwmport.targets.operators import ABSENT, OperatorList, listed

_ONNX: Final = listed("compass_onnx")
_TFLITE: Final = listed("compass_tflite")


def versions(domain: str, operator: str) -> tuple[int, ...] | None:
    """Return the versions of an ONNX operator that Compass's parser knows; empty for any, None if it knows none."""
    found = _ONNX["domains"].get(domain, {}).get(operator)
    return None if found is None else tuple(found)


def tflite_version(operator: str) -> int | None:
    """Return the newest version of a TFLite operator that Compass's parser knows, None if it knows none."""
    found: int | None = _TFLITE["operators"].get(operator)
    return found


def _look(domain: str, operator: str, _opset: int) -> tuple[bool, str]:
    found = versions(domain, operator)
    return found is not None, ABSENT if found is None else f"versions {', '.join(map(str, found)) or 'any'}"


def _look_tflite(_domain: str, operator: str, _opset: int) -> tuple[bool, str]:
    found = tflite_version(operator)
    return found is not None, ABSENT if found is None else f"up to version {found}"


ONNX: Final = OperatorList(source=str(_ONNX["source"]), look=_look)
TFLITE: Final = OperatorList(source=str(_TFLITE["source"]), look=_look_tflite)
