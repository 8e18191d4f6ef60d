"""What each vendor's list of operators says. The lists are generated: see ``tools/generate_target_data.py``."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def listed(name: str) -> Mapping[str, Any]:
    """Return one of the lists in ``data/``."""
    text = (resources.files("lwmport.targets") / "data" / f"{name}.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def ascend_opsets(domain: str, operator: str) -> tuple[int, int] | None:
    """Return the versions of its domain at which CANN has a parser for an operator, None if at none."""
    found = listed("ascend_onnx")["operators"].get(_qualified(domain, operator))
    return None if found is None else (found[0], found[1])


def ascend_unlisted(domain: str, operator: str, family: str) -> bool:
    """Return whether the open kernels name a family of chips as one that they have no kernel of this operator for."""
    return family in listed("ascend_onnx")["unlisted"].get(_qualified(domain, operator), ())


def _qualified(domain: str, operator: str) -> str:
    return f"{domain}::{operator}" if domain else operator


def compass_versions(domain: str, operator: str) -> tuple[int, ...] | None:
    """Return the versions of an ONNX operator that Compass's parser knows; empty for any, None if it knows none."""
    found = listed("compass_onnx")["domains"].get(domain, {}).get(operator)
    return None if found is None else tuple(found)


def compass_tflite_version(operator: str) -> int | None:
    """Return the newest version of a TFLite operator that Compass's parser knows, None if it knows none."""
    found: int | None = listed("compass_tflite")["operators"].get(operator)
    return found


def migraphx_dtypes(operator: str) -> tuple[str, ...] | None:
    """Return the dtypes that MIGraphX documents for an operator; empty for any, None if it reads no such operator."""
    lists = listed("migraphx_onnx")
    if operator in lists["dtypes"]:
        return tuple(lists["dtypes"][operator])
    return () if operator in lists["parsed"] else None
