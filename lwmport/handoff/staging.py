"""What is made for a bundle lies in a scratch folder until it is packed; arrays are written in both forms at once."""

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
        """Take an array as ``STEM.npy`` and ``STEM.bin``."""
        values = little(array)
        for suffix in ("npy", "bin"):
            path = self._path(f"{stem}.{suffix}")
            if suffix == "npy":
                np.save(path, values, allow_pickle=False)
            else:
                values.tofile(path)
        return ArrayFile(npy=f"{stem}.npy", bin=f"{stem}.bin", shape=values.shape, dtype=values.dtype.name)

    def arrays(self, folder: str, arrays: Mapping[str, Array]) -> dict[str, ArrayFile]:
        """Take arrays by name into a folder."""
        return {name: self.array(f"{folder}/{name}", array) for name, array in arrays.items()}

    def calibration(self, folder: str, runs: tuple[Mapping[str, Array], ...]) -> Calibration:
        """Take the inputs of several runs as quantizers read them.

        Each input as one raw file a run, and as one .npy [runs, ...] of all of them. A compiler that wants another
        form gets it beside its configuration.
        """
        inputs = tuple(runs[0]) if runs else ()
        raw: dict[str, tuple[str, ...]] = {}
        for name in inputs:
            files = tuple(f"{folder}/{name}/{number:03}.bin" for number in range(len(runs)))
            for file, run in zip(files, runs, strict=True):
                little(run[name]).tofile(self._path(file))
            raw[name] = files
            np.save(
                self._path(f"{folder}/{name}.npy"), np.stack([little(run[name]) for run in runs]), allow_pickle=False
            )
        return Calibration(count=len(runs), stacked={name: f"{folder}/{name}.npy" for name in inputs}, raw=raw)

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
