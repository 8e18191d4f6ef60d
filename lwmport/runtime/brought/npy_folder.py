"""A folder of ``.npy`` and ``.npz``, or one of them: whoever saved them named each after its tensor."""

import re
from collections.abc import Iterator
from typing import Final

from lwmport.runtime.brought.listing import File, Listing
from lwmport.runtime.brought.stored import OtherValues, Stored, in_npy, in_npz
from lwmport.runtime.brought.tensor import Brought, BroughtTensor
from lwmport.wording import few

KIND: Final = "npy folder"
SAMPLE: Final = re.compile(r"(?:sample_?|run_?)?(\d{1,6})/")
"""A folder of one run: ``0/``, ``sample_1/``."""


def fits(found: Listing) -> bool:
    """Return whether there is any array."""
    return any(file.last.endswith((".npy", ".npz")) for file in found.files)


def read(found: Listing) -> Brought:
    """Return the arrays of a folder; what else lies in it is left aside.

    Raises:
        ArtifactError: an array is damaged or cut.
    """
    aside: list[str] = []
    tensors = tuple(tensor for file in found.files for tensor in _tensors(file, aside))
    notes = (f"{len(aside):,} left aside: {few(aside)}",) if aside else ()
    return Brought(kind=KIND, tensors=tensors, notes=notes)


def _tensors(file: File, aside: list[str]) -> Iterator[BroughtTensor]:
    if file.last.endswith(".npy"):
        try:
            yield _tensor(file.name.removesuffix(".npy"), in_npy(file), file.told, 0)
        except OtherValues as error:
            aside.append(str(error))
    elif file.last.endswith(".npz"):
        sample = SAMPLE.match(file.name)
        for name, stored in in_npz(file):
            if isinstance(stored, str):
                aside.append(stored)
            else:
                yield _tensor(name, stored, file.told, int(sample.group(1)) if sample else 0)
    else:
        aside.append(f"{file.told} is no .npy or .npz")


def _tensor(name: str, stored: Stored, source: str, sample: int) -> BroughtTensor:
    run = SAMPLE.match(name)
    return BroughtTensor(
        names=(name[run.end() :] if run else name,),
        role="tensor",
        sample=int(run.group(1)) if run else sample,
        shape=stored.shape,
        dtype=stored.dtype,
        source=source,
        load=stored.load,
    )
