"""The files of ONNX's own suite: a folder of them, and the data that comes with each."""

import hashlib
import shutil
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

DATA: Final = "test_data_set_*"
"""The folders beside a model that hold its inputs and outputs, ``input_0.pb`` and so on."""


def make(folder: Path, others: Iterable[Path]) -> int:
    """Write the suite of the installed onnx into a folder, and add the models of other folders; return how many.

    Files with the same bytes are taken once. ``others`` are folders such as ``onnx/backend/test/data`` of other
    versions; each goes into a folder that is numbered.
    """
    seen: set[bytes] = set()
    for case in _cases():
        place = folder / "made" / case.name / "model.onnx"
        new = _new(place, case.model.SerializeToString(), seen)
        for number, (inputs, outputs) in enumerate(case.data_sets or []) if new else ():
            data = place.parent / f"test_data_set_{number}"
            _write(data, "input", inputs, case.model.graph.input)
            _write(data, "output", outputs, case.model.graph.output)
    packaged = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for number, source in enumerate((packaged, *others)):
        for path in sorted(source.rglob("*.onnx")):
            place = folder / str(number) / path.relative_to(source)
            for data in path.parent.glob(DATA) if _new(place, path.read_bytes(), seen) else ():
                shutil.copytree(data, place.parent / data.name, dirs_exist_ok=True)
    return len(seen)


def models(folder: Path) -> list[str]:
    """Return the models under a folder, as paths in it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.onnx"))


def data_sets(model: Path) -> list[tuple[list[Path], list[Path]]]:
    """Return the files of the inputs and the outputs of each set of data beside a model."""
    found = [(_files(folder, "input"), _files(folder, "output")) for folder in sorted(model.parent.glob(DATA))]
    alone = len(list(model.parent.glob("*.onnx"))) == 1
    return found if alone else []


def read(path: Path, kind: str) -> Any:
    """Return the value in a file of data; ``kind`` is the type as ONNX Runtime writes it, such as ``seq(...)``."""
    content = path.read_bytes()
    if kind.startswith("seq"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind.startswith("optional"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return numpy_helper.to_array(onnx.TensorProto.FromString(content))


def _files(folder: Path, word: str) -> list[Path]:
    return sorted(folder.glob(f"{word}_*.pb"), key=lambda path: int(path.stem.rpartition("_")[2]))


def _cases() -> Sequence[Any]:
    """Return the cases that onnx makes, without those that it fetches."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model is not None]


def _new(path: Path, content: bytes, seen: set[bytes]) -> bool:
    """Write a file, and return whether it is new: one with the same bytes is not written again."""
    digest = hashlib.sha256(content).digest()
    if digest in seen:
        return False
    seen.add(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def _write(folder: Path, word: str, values: Iterable[Any], infos: Sequence[onnx.ValueInfoProto]) -> None:
    folder.mkdir(exist_ok=True)
    for number, value in enumerate(values):
        kind = infos[number].type
        if isinstance(value, onnx.TensorProto):
            proto: Any = value
        elif kind.HasField("optional_type"):
            proto = numpy_helper.from_optional(value, infos[number].name)
        elif isinstance(value, list | tuple):
            proto = numpy_helper.from_list(list(value), infos[number].name)
        else:
            proto = numpy_helper.from_array(np.asarray(value), infos[number].name)
        (folder / f"{word}_{number}.pb").write_bytes(proto.SerializeToString())
