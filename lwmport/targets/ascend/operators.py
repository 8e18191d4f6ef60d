"""The operators that CANN's ONNX parsers and open kernels are listed for."""

from typing import Any, Final

from lwmport.targets.operators import ABSENT, OperatorList, listed

_LIST: Final = listed("ascend_onnx")


def opsets(domain: str, operator: str) -> tuple[int, int] | None:
    """Return the first and the last version of its domain for which CANN parses an operator, None if it does not."""
    found: Any = _LIST["operators"].get(_qualified(domain, operator))
    return None if found is None else (found[0], found[1])


def is_unlisted(domain: str, operator: str, family: str) -> bool:
    """Return whether the open kernels say that a family of chips has no kernel of an operator."""
    return family in _LIST["unlisted"].get(_qualified(domain, operator), ())


def _qualified(domain: str, operator: str) -> str:
    return f"{domain}::{operator}" if domain else operator


def _look(domain: str, operator: str, opset: int) -> tuple[bool, str]:
    found = opsets(domain, operator)
    if found is None:
        return False, ABSENT
    if domain:  # its version is not that of the default domain
        return True, f"domain {domain}, version {found[0]}"
    return found[0] <= opset <= found[1], f"opsets {found[0]} to {found[1]}"


ONNX: Final = OperatorList(source=str(_LIST["source"]), look=_look)
