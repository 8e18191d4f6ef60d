"""What is made for a bundle lies in a scratch folder until it is packed; each array is written once, as .npy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lwmport import plain
from lwmport.handoff import names, record
from lwmport.handoff.packing import Content
from lwmport.handoff.record import ArrayFile, Calibration
from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class Staging:
    """The contents of a bundle under way, by name; ``folder`` holds those that are large and made here."""

    folder: Path
    contents: dict[str, Content] = field(default_factory=dict)

    def put(self, name: str, content: Content) -> None:
        """Take bytes, or a file that is there already.

        Raises:
            ArtifactError: a name that no bundle may hold.
        """
        names.check(name)
        self.contents[name] = content

    def put_json(self, name: str, value: object) -> None:
        """Take a record, or plain JSON values, as a JSON document."""
        self.put(name, record.text(plain.encode(value)))

    def array(self, stem: str, array: Array) -> ArrayFile:
        """Take an array as ``STEM.npy``."""
        values = little(array)
        np.save(self._path(f"{stem}.npy"), values, allow_pickle=False)
        return ArrayFile(npy=f"{stem}.npy", shape=values.shape, dtype=values.dtype.name)

    def arrays(self, folder: str, arrays: Mapping[str, Array]) -> dict[str, ArrayFile]:
        """Take arrays by name into a folder."""
        return {name: self.array(f"{folder}/{name}", array) for name, array in arrays.items()}

    def calibration(self, folder: str, runs: tuple[Mapping[str, Array], ...]) -> Calibration:
        """Take the inputs of several runs for a quantizer: each input as one .npy [runs, ...]."""
        stacked = {name: f"{folder}/{name}.npy" for name in (runs[0] if runs else ())}
        for name, file in stacked.items():
            np.save(self._path(file), np.stack([little(run[name]) for run in runs]), allow_pickle=False)
        return Calibration(count=len(runs), stacked=stacked)

    def _path(self, name: str) -> Path:
        path = self.folder.joinpath(*name.split("/"))
        self.put(name, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def little(array: Array) -> Array:
    """Return the array in C order and little-endian; bfloat16 has no .npy form and goes as float32."""
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
