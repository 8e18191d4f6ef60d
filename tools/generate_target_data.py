"""Makes the lists of operators in ``lwmport/targets/data/``: ``python tools/generate_target_data.py FOLDER``.

The folder holds tables that were extracted from the vendors' sources and documents; they are not part of this
repository, and each list names the versions that it was made from. They are UTF-8, one operator a row, with columns:

- ``ascend_onnx_ops.csv``: ``op`` (``DOMAIN::OP`` outside the default domain), ``min_opset`` (empty where there is no
  parser), ``max_opset`` (a number or ``any``), ``constraint`` (what the README of an open kernel says);
- ``compass_onnx_ops.csv``: ``op``, ``domain`` (``onnx...`` for the default one), ``parser_versions`` (``1 6 13``);
- ``compass_tflite_ops.csv``: ``tflite_op``, ``parser_versions``;
- ``migraphx_onnx_ops.csv``: ``op``, ``supported`` (``yes``, or else it is left out), ``types`` (``FP32, INT8`` or
  ``Any``);
- ``migraphx_parser_ops.txt``: no columns, a name that the parser registers on each line.

Only names, versions, dtypes and the devices that a kernel is not listed for are taken over. The list of ONNX Runtime's
kernels comes from the installed one; without a folder it is the only list that is made.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from lwmport import atomic
from lwmport.onnx_dtypes import KINDS

DATA: Final = Path(__file__).parents[1] / "lwmport" / "targets" / "data"

FAMILIES: Final = {
    "Atlas A3": "A3",
    "Atlas A2": "910B",
    "Atlas 200I/500 A2": "310B",
    "Atlas 推理系列产品": "310P",
    "Atlas 训练系列产品": "910",
}
"""Huawei's names of product families -> the family of a soc_version."""

_UNLISTED: Final = re.compile(r"README marks x on (.*?) \(NOT definitive")
_TYPES: Final = re.compile(r"(BF|FP|U?INT)(\d+)$")


def ascend(rows: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return the opsets of every operator that an ONNX parser of CANN is registered for."""
    operators: dict[str, list[int]] = {}
    unlisted: dict[str, list[str]] = {}
    for row in rows:
        if not row["min_opset"]:
            continue
        high = 18 if row["max_opset"] == "any" else int(row["max_opset"])
        operators[row["op"]] = [int(row["min_opset"]), high]
        named = " / ".join(_UNLISTED.findall(row["constraint"]))
        found = sorted({family for name, family in FAMILIES.items() if name in named})
        if found:
            unlisted[row["op"]] = found
    return {
        "source": "ONNX plugins of hicann/ops-nn, ops-math, ops-cv and the parser of hicann/ge, as of August 2026",
        "operators": operators,
        "unlisted": unlisted,
    }


def compass_onnx(rows: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return the versions of every ONNX operator that Compass's parser has a class for, by domain."""
    domains: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        if row["domain"] == "domain":  # a heading in the middle of the table
            continue
        own = row["domain"].startswith("onnx")
        name = row["op"] if own else row["op"].removesuffix("Ms")
        versions = [int(version) for version in row["parser_versions"].split()]
        domains.setdefault("" if own else "com.microsoft", {})[name] = versions
    return {"source": "Arm-China/Compass_Unified_Parser 4.3, April 2026", "domains": domains}


def compass_tflite(rows: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return the newest version of every TFLite operator that Compass's parser has a class for."""
    operators = {row["tflite_op"]: max(map(int, row["parser_versions"].split())) for row in rows}
    return {"source": "Arm-China/Compass_Unified_Parser 4.3, April 2026", "operators": operators}


def migraphx(rows: Iterable[Mapping[str, str]], parsed: Iterable[str]) -> dict[str, Any]:
    """Return the dtypes of every ONNX operator that MIGraphX documents, and the names that its parser registers."""
    dtypes: dict[str, list[str]] = {}
    for row in rows:
        if row["supported"] == "yes":
            dtypes[row["op"].removesuffix(" (deprecated)")] = _dtypes(row["types"])
    dtypes["MeanVarianceNormalization"] = _dtypes("FP16, FP32, FP64")  # its row is broken over two lines
    dtypes.pop("MeanVarian", None)
    return {
        "source": "AMDMIGraphX 2.16.0 (documents and ONNX parser), May 2026",
        "dtypes": dtypes,
        "parsed": sorted({name.strip() for name in parsed if name.strip()} - set(dtypes)),
    }


OPEN: Final = 2**31 - 1
"""The last version of a kernel that ONNX Runtime has not ended."""


def onnxruntime_cpu() -> dict[str, Any]:
    """Return the kernels of the installed ONNX Runtime's CPU provider.

    ``opset`` is the newest one that it reads, ``operators`` map a name to the ``versions`` of its schema and to
    ``kernels`` as [first version, last version (0: not ended), {type parameter: key in ``types``}]. Values that are no
    tensors are left out.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    versions: dict[str, set[int]] = {}
    for schema in state.get_all_operator_schema():
        versions.setdefault(_key(schema.domain, schema.name), set()).add(schema.since_version)
    keys: dict[tuple[str, ...], str] = {}
    operators: dict[str, dict[str, Any]] = {}
    for kernel in state.get_all_opkernel_def():
        if kernel.provider != "CPUExecutionProvider" or kernel.domain not in RUNTIME_DOMAINS:
            continue
        name, (first, last) = _key(kernel.domain, kernel.op_name), kernel.version_range
        known = {"versions": sorted(versions.get(name, {first})), "kernels": []}
        held = {
            parameter: keys.setdefault(types, f"t{len(keys)}")
            for parameter, types in ((one, _tensors(many)) for one, many in sorted(kernel.type_constraints.items()))
            if types
        }
        operators.setdefault(name, known)["kernels"].append([first, 0 if last == OPEN else last, held])
    return {
        "source": f"ONNX Runtime {onnxruntime.__version__}, kernels of its CPU provider",
        "opset": NEWEST,
        "types": {key: list(types) for types, key in keys.items()},
        "operators": operators,
    }


RUNTIME_DOMAINS: Final = ("", "ai.onnx.ml")
NEWEST: Final = 26
"""The newest opset that ONNX Runtime 1.31 reads; 27 is "under development"."""


def _key(domain: str, name: str) -> str:
    return f"{domain}::{name}" if domain else name


def _tensors(types: Iterable[str]) -> tuple[str, ...]:
    """Return numpy's names of those types that are tensors."""
    return tuple(KINDS[name] for name in sorted(types) if name in KINDS)


def _dtypes(text: str) -> list[str]:
    """Return numpy's names of the types in a table's cell; an empty list stands for any."""
    if text.strip() == "Any":
        return []
    names = {"BF": "bfloat", "FP": "float", "INT": "int", "UINT": "uint"}
    found = []
    for word in (part.strip() for part in text.split(",")):
        match = _TYPES.match(word)
        if match:
            found.append(names[match[1]] + match[2])
        elif word == "BOOL":
            found.append("bool")
    return found


def main(folder: Path | None = None) -> None:
    """Write every list anew, or that of the installed runtime alone."""
    lists = {"onnxruntime_cpu": onnxruntime_cpu(), **({} if folder is None else _from_tables(folder))}
    for name, content in lists.items():
        with atomic.new_file(DATA / f"{name}.json") as file:
            file.write(_text(content).encode())


def _from_tables(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the lists of vendors."""

    def rows(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    parsed = (folder / "migraphx_parser_ops.txt").read_text(encoding="utf-8").splitlines()
    return {
        "ascend_onnx": ascend(rows("ascend_onnx_ops.csv")),
        "compass_onnx": compass_onnx(rows("compass_onnx_ops.csv")),
        "compass_tflite": compass_tflite(rows("compass_tflite_ops.csv")),
        "migraphx_onnx": migraphx(rows("migraphx_onnx_ops.csv"), parsed),
    }


def _text(content: Mapping[str, Any]) -> str:
    """Return JSON with one operator a line, so that a change of a list reads as one."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value[name])}" for name in sorted(value))
            parts.append(f" {json.dumps(key)}: {{\n{lines}\n }}")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
