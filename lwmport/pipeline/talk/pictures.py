"""Pictures to codes and back, by the two halves of an assembled model that do so."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lwmport import manifest
from lwmport.errors import UsageError
from lwmport.manifest import ComponentEntry
from lwmport.pipeline.assemble.package import Package, component_with
from lwmport.pipeline.model import Model, load
from lwmport.runtime.given.pictures import opened_picture
from lwmport.types import Array, Preprocessing, TensorSpec
from lwmport.validators.pictures import channels_last, scaled, with_channels
from lwmport.validators.resizing import resized

if TYPE_CHECKING:
    from PIL import Image


class Pictures:
    """What turns pictures into codes and codes into pictures; each half is opened when it is first needed.

    Raises:
        UsageError: the model was assembled without them.
    """

    def __init__(self, package: Package, runner: str | None = None) -> None:
        if package.pictures is None:
            raise UsageError(f"expected a model with pictures in {package.folder}, found one of text alone")
        self._folder, self._runner, self._names = package.pictures, runner, package.prompts
        self._made = manifest.read(package.pictures)

    def codes(self, frames: "Sequence[Path | Image.Image]") -> list[Array]:
        """Return the codes of each picture, integers [height, width]."""
        part = component_with(self._made, self._names.pixels, self._names.codes, self._folder)
        (spec,) = part.signature.inputs
        how = part.preprocessing.get(spec.name, Preprocessing())
        with self._open(part) as model:
            inputs = [_input(frame, spec, how) for frame in frames]
            return [
                codes
                for batch in _batches(inputs, spec)
                for codes in model.run(**{spec.name: batch})[self._names.codes]
            ]

    def pixels(self, codes: Array) -> Array:
        """Return pictures uint8 [n, height, width, 3] of codes [n, height, width]."""
        with self.decoder() as decode:
            return decode(codes)

    @contextmanager
    def decoder(self) -> Iterator[Callable[[Array], Array]]:
        """Open what turns codes into pictures, as `pixels` does, for several calls."""
        part = component_with(self._made, self._names.codes, self._names.pixels, self._folder)
        (spec,) = part.signature.inputs
        (out,) = (spec for spec in part.signature.outputs if spec.name == self._names.pixels)

        def decode(codes: Array) -> Array:
            rows = [np.asarray(one[None], spec.dtype) for one in codes]
            found = [model.run(**{spec.name: batch})[out.name] for batch in _batches(rows, spec)]
            made = np.concatenate(found).transpose([(out.layout or "NHWC").index(axis) for axis in "NHWC"])
            return np.asarray(np.clip((made.astype(np.float32) + 1) * 127.5, 0, 255), np.uint8)

        with self._open(part) as model:
            yield decode

    @property
    def at_once(self) -> int:
        """How many pictures one run of what decodes codes makes; 1 where it takes any number."""
        part = component_with(self._made, self._names.codes, self._names.pixels, self._folder)
        size = part.signature.inputs[0].shape[0]
        return size if isinstance(size, int) else 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures that it makes."""
        part = component_with(self._made, self._names.codes, self._names.pixels, self._folder)
        height, width, _ = channels_last(
            next(spec for spec in part.signature.outputs if spec.name == self._names.pixels)
        )
        return width, height

    @property
    def count(self) -> int:
        """How many codes there are."""
        part = component_with(self._made, self._names.codes, self._names.pixels, self._folder)
        (spec,) = part.signature.inputs
        if spec.value_range is None:
            raise UsageError(f"expected the number of codes in {self._folder / manifest.NAME}, found none")
        return int(spec.value_range[1]) + 1

    def _open(self, part: ComponentEntry) -> Model:
        return load(self._folder / part.path, runner=self._runner)


def _input(frame: Any, spec: TensorSpec, how: Preprocessing) -> Array:
    height, width, channels = channels_last(spec)
    size = height, width
    found = opened_picture(frame, size, how.resizing) if isinstance(frame, Path) else resized(frame, size, how.resizing)
    return scaled(with_channels(found[None], channels), spec, how.normalisation)


def _batches(rows: Sequence[Array], spec: TensorSpec) -> list[Array]:
    """Return rows in the batch that an input takes; the last one is filled up with its last row."""
    size = spec.shape[0] if isinstance(spec.shape[0], int) else len(rows)
    groups = [rows[start : start + size] for start in range(0, len(rows), max(size, 1))]
    return [np.concatenate([*group, *[group[-1]] * (size - len(group))]) for group in groups]
