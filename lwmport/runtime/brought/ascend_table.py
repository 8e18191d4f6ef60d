"""``result_TIME.csv`` of msit and msprobe: a row for each tensor of the device's model, held against the ONNX model's.

Columns: Index, [OpSequence,] OpType, NPUDump, DataType, Address, GroundTruth, DataType, [Address,] TensorIndex, Shape,
[OverFlow,] the measures, CompareFailReason, IsNpuOps, IsOutputNode, IsPrecisionError. The first DataType is the
device's. TensorIndex is ``OPERATOR:output:N``. GroundTruth names the nodes of the model, several where the compiler
fused them, ``*`` where it is the compiler's own. A row of Node_Output is an output of the whole model; GroundTruth then
has the device's file, ``output_N.npy``. Source: Ascend/msprobe, msaccucmp, const_manager.py and compare_result.py;
msquickcmp, net_compare.py.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.ascend_names import NET
from lwmport.runtime.brought.listing import File, front_of, text_of
from lwmport.wording import shown

MEASURES: Final = {
    "CosineSimilarity": "cosine",
    "MaxAbsoluteError": "max_abs",
    "AccumulatedRelativeError": "accumulated_rel",
    "RelativeEuclideanDistance": "rel_euclid",
    "KullbackLeiblerDivergence": "kl",
    "MeanAbsoluteError": "mean_abs",
    "RootMeanSquareError": "rmse",
    "MaxRelativeError": "max_rel",
    "MeanRelativeError": "mean_rel",
}
"""Column -> name here."""

NEEDED: Final = ("NPUDump", "GroundTruth", "CosineSimilarity")
PART: Final = re.compile(r"(?P<operator>.+):(?P<role>input|output):(?P<index>\d{1,4})")
SHAPE: Final = re.compile(r"\[(?P<sizes>(?:\d{1,10}(?:,\s*\d{1,10})*)?)\]")
DEVIATION: Final = re.compile(r"\(\s*(\S+?)\s*;\s*(\S+?)\s*\)")
FRONT: Final = 1 << 14
SHORT: Final = 200
"""Characters of a cell that holds four numbers."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One tensor: the operator of the device's model, the nodes that it stands for, and the measures.

    ``operator`` and ``nodes`` are empty for an output of the whole model.
    """

    operator: str
    nodes: tuple[str, ...]
    role: str
    index: int
    shape: tuple[int, ...] | None
    dtype: str
    statistics: Mapping[str, float]
    source: str


def is_table(file: File) -> bool:
    """Return whether a file is such a table, by its first line."""
    if not file.last.endswith(".csv"):
        return False
    first = front_of(file, FRONT).decode("utf-8-sig", "replace").partition("\n")[0]
    return set(NEEDED) <= {cell.strip() for cell in first.split(",")}


def rows_of(file: File) -> Iterator[Row]:
    """Yield the rows of a table that stand for a tensor.

    Raises:
        ArtifactError: a row is cut, or its Shape is none.
    """
    lines = csv.reader(io.StringIO(text_of(file)))
    try:
        columns = _columns(next(lines))
        for cells in lines:
            if cells:
                yield from _row(cells, columns, f"{file.told}, line {lines.line_num}")
    except (csv.Error, StopIteration) as error:
        raise ArtifactError(f"{file.told}: expected a table of msit or msprobe, found: {error}") from error


def _columns(names: Sequence[str]) -> dict[str, int]:
    """Return name -> number of the first column of that name."""
    return {name.strip(): number for number, name in reversed(list(enumerate(names)))}


def _row(cells: Sequence[str], columns: Mapping[str, int], where: str) -> Iterator[Row]:
    if len(cells) <= max(columns[name] for name in NEEDED):
        raise ArtifactError(f"{where}: expected {len(columns)} columns or more, found {len(cells)}; the file is cut")
    told = {name: cells[number].strip() for name, number in columns.items() if number < len(cells)}
    part = _part(told)
    if part is None:
        return  # an operator without a dump: CompareFailReason says why
    operator, role, index = part
    truth = told["GroundTruth"] if operator else "*"
    yield Row(
        operator=operator,
        nodes=tuple(name for one in truth.split(",") if (name := one.strip()) not in ("", "*")),
        role=role,
        index=index,
        shape=_shape(told.get("Shape", ""), where),
        dtype=told.get("DataType", "").replace("NaN", ""),
        statistics=_statistics(told),
        source=where,
    )


def _part(told: Mapping[str, str]) -> tuple[str, str, int] | None:
    """Return operator, role and index of a row's tensor; no operator for an output of the whole model."""
    if told["NPUDump"] == "Node_Output" and (net := NET.fullmatch(told["GroundTruth"])):
        return "", "output", int(net["index"])
    part = PART.fullmatch(told.get("TensorIndex", ""))
    return (part["operator"], part["role"], int(part["index"])) if part else None


def _shape(told: str, where: str) -> tuple[int, ...] | None:
    if told in ("", "NaN", "[]"):
        return None
    found = SHAPE.fullmatch(told)
    if found is None:
        raise ArtifactError(f"{where}: expected sizes as [1,2,3] in the column Shape, found {shown(told)}")
    return tuple(int(size) for size in found["sizes"].split(","))


def _statistics(told: Mapping[str, str]) -> dict[str, float]:
    """Return the measures that are numbers; mean and deviation of the device's values and of the reference's."""
    found = {name: _number(told.get(column, "")) for column, name in MEASURES.items()}
    pairs = DEVIATION.findall(told.get("StandardDeviation", "")[:SHORT])
    for (mean, deviation), who in zip(pairs, ("", "reference_"), strict=False):
        found |= {f"{who}mean": _number(mean), f"{who}std": _number(deviation)}
    return {name: value for name, value in found.items() if value is not None}


def _number(told: str) -> float | None:
    try:
        value = float(told)
    except ValueError:
        return None
    return None if math.isnan(value) else value
