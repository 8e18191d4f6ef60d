"""What ``ais_bench --output`` writes: ``NAME_INDEX.npy``, ``.bin`` or ``.txt``, and ``RUN_summary.json`` beside them.

NAME is the first input file up to its first dot, ``pure_infer_data`` without inputs; INDEX is the output in the model's
order; the summary lists the files of each sample. No file tells the name of an output, and a ``.bin`` tells no dtype.
Source: Ascend/tools, ais_bench/infer/io_oprations.py and summary.py.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.listing import File, Listing, listed, text_of
from lwmport.runtime.brought.stored import OtherValues, Stored, in_npy, in_text, unknown_bytes
from lwmport.runtime.brought.tensor import Brought, BroughtTensor
from lwmport.wording import few, shown

KIND: Final = "ais_bench"
SUMMARY: Final = "_summary.json"
OUTPUT: Final = re.compile(r"(?P<name>.+)_(?P<index>\d{1,6})\.(?P<kind>npy|bin|txt)")
PURE: Final = re.compile(r"pure_infer_data_\d{1,6}\.(?:npy|bin|txt)")
READERS: Final[Mapping[str, Callable[[File], Stored]]] = {"npy": in_npy, "bin": unknown_bytes, "txt": in_text}
UNTOLD: Final = (
    "a .bin or .txt tells no dtype: the model's is taken, and must fit its size; a .npy tells (--outfmt NPY)"
)


def fits(found: Listing) -> bool:
    """Return whether there is a summary, in the folder or beside it, or a file of a run without inputs."""
    return _summary_beside(found) is not None or any(
        file.last.endswith(SUMMARY) or PURE.fullmatch(file.last) for file in found.files
    )


def read(found: Listing) -> Brought:
    """Return the outputs of one run of ais_bench, of all its samples.

    Raises:
        ArtifactError: there are several runs, or a file is damaged or cut.
    """
    summary = _summary(found)
    samples = _samples(summary) if summary else {}
    aside: list[str] = []
    tensors = tuple(_tensors(found, samples, aside))
    notes = [f"{len(aside):,} left aside: {few(aside)}"] if aside else []
    if any(not tensor.dtype for tensor in tensors):
        notes.append(UNTOLD)
    return Brought(kind=KIND, tensors=tensors, notes=tuple(notes))


def _summary(found: Listing) -> File | None:
    inside = [file for file in found.files if file.last.endswith(SUMMARY)]
    if len(inside) > 1:
        names = few(file.told for file in inside)
        raise ArtifactError(f"{found.root}: expected one run of ais_bench, found {len(inside)}: {names}; name a folder")
    return inside[0] if inside else _summary_beside(found)


def _summary_beside(found: Listing) -> File | None:
    """Return the summary of a folder that is the run itself: ais_bench writes it beside the folder."""
    folder = found.root.absolute()
    path = folder.with_name(f"{folder.name}{SUMMARY}") if folder.name else folder
    if found.alone or path.is_symlink() or not path.is_file():
        return None
    return listed(path).files[0]


def _samples(summary: File) -> dict[str, int]:
    """Return file -> sample, as the summary tells; the folders are those of the device and mean nothing here.

    Raises:
        ArtifactError: it is no summary of ais_bench.
    """
    try:
        told: Any = json.loads(text_of(summary))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{summary.told}: expected JSON of ais_bench, found damage; copy it again") from error
    files = told.get("filesinfo") if isinstance(told, dict) else None
    if not isinstance(files, dict):
        raise ArtifactError(f"{summary.told}: expected filesinfo of ais_bench, found none")
    found: dict[str, int] = {}
    for sample, entry in files.items():
        outputs = entry.get("outfiles") if isinstance(entry, dict) else None
        if not re.fullmatch(r"\d{1,9}", sample) or not isinstance(outputs, list):
            raise ArtifactError(f"{summary.told}: expected files of samples by number, found {shown(sample)}")
        found |= {str(path).replace("\\", "/").rpartition("/")[2]: int(sample) for path in outputs}
    return found


def _tensors(found: Listing, samples: Mapping[str, int], aside: list[str]) -> Iterator[BroughtTensor]:
    order: dict[str, int] = {}
    for file in found.files:
        name = OUTPUT.fullmatch(file.last)
        if file.last.endswith(SUMMARY):
            continue
        if name is None or (samples and file.last not in samples):
            aside.append(f"{file.told} is no output of this run")
            continue
        sample = samples.get(file.last, order.setdefault(name["name"], len(order)))
        try:
            stored = READERS[name["kind"]](file)
        except OtherValues as error:
            aside.append(str(error))
            continue
        yield BroughtTensor(
            names=(),
            role="output",
            index=int(name["index"]),
            sample=sample,
            shape=stored.shape,
            dtype=stored.dtype,
            source=file.told,
            load=stored.load,
        )
    missing = sorted(samples.keys() - {file.last for file in found.files})
    if missing:
        raise ArtifactError(
            f"expected the files that ais_bench's summary lists, found {len(missing):,} of them missing: "
            f"{few(map(shown, missing))}; copy the folder again"
        )
