"""Variables of a SavedModel, in a tree of modules whose paths are the checkpoint's names.

TensorFlow saves variables that are in memory. So they are made without values, and the values are written over what it
saved, a few at a time: `Variables.fill`.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.errors import LoweringError
from lwmport.types import Array, Progress
from lwmport.wording import few

GROUP_BYTES: Final = 32 << 20
"""Small tensors are written together, up to about this size."""

SUFFIX: Final = "/.ATTRIBUTES/VARIABLE_VALUE"
OBJECTS: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""TensorFlow's key of a variable is its path and the suffix; the tree of modules is a value of its own."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    """One variable, and what its value will be."""

    variable: Any
    dtype: str
    produce: Callable[[], Array]

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return int(self.variable.shape.num_elements() * self.variable.dtype.size)


class Variables:
    """Makes a variable the first time that its weight is read (`lwmport.converters.saved_model.emitter.Store`).

    ``root`` is the module to save: the weight ``encoder/Conv_0/kernel`` is ``root.encoder.Conv_0.kernel``, and has
    the key ``encoder/Conv_0/kernel/.ATTRIBUTES/VARIABLE_VALUE`` in the SavedModel's own checkpoint.
    """

    def __init__(self, tf: Any, progress: Progress) -> None:
        self.root = tf.Module()
        self._tf = tf
        self._progress = progress
        self._made: dict[str, _Made] = {}

    def weight(self, name: str, shape: tuple[int, ...], dtype: str, produce: Callable[[], Array]) -> Any:
        """Return the tensor that reads the variable of this name, made outside of the function being traced."""
        if name not in self._made:
            with self._tf.init_scope(), self._tf.name_scope(""):
                nothing = self._tf.raw_ops.Empty(shape=list(shape), dtype=dtype, init=False)  # memory nobody touches
                variable = self._tf.Variable(nothing, name=name, dtype=dtype, shape=shape)
            self._made[name] = _Made(variable=variable, dtype=dtype, produce=produce)
            self._place(name)
        with self._tf.name_scope(f"{name}/"):
            return self._made[name].variable.value()

    def fill(self, folder: Path) -> None:
        """Write the values into a SavedModel that was saved without them.

        Raises:
            LoweringError: TensorFlow saved other variables than were made.
        """
        if not self._made:
            return
        target, parts = folder / "variables" / "variables", folder / "variables" / "parts"
        saved = self._tf.train.load_checkpoint(str(target))
        self._check_keys(sorted(saved.get_variable_to_shape_map()))
        objects = saved.get_tensor(OBJECTS)
        shutil.rmtree(target.parent)
        parts.mkdir(parents=True)
        groups = enumerate(self._groups({OBJECTS: objects}))
        prefixes = [self._write(parts / f"{number:05}", values) for number, values in groups]
        self._tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=prefixes, destination_prefix=str(target), delete_old_dirs=False
        )
        shutil.rmtree(parts)

    def _groups(self, group: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield tensors by key, as many at once as are small, in the order of their names, behind a first group."""
        total, done, held = sum(made.nbytes for made in self._made.values()), 0, 0
        for name, made in sorted(self._made.items()):
            if held and held + made.nbytes > GROUP_BYTES:
                yield group
                group, held = {}, 0
            group[name + SUFFIX] = self._value(name, made)
            held, done = held + made.nbytes, done + made.nbytes
            self._progress(name, done, total)
        yield group

    def _value(self, name: str, made: _Made) -> Any:
        value = self._tf.convert_to_tensor(made.produce())
        if value.dtype != made.variable.dtype or value.shape != made.variable.shape:
            raise LoweringError(
                f"expected {made.dtype}{made.variable.shape.as_list()} for {name}, "
                f"found {value.dtype.name}{value.shape.as_list()}"
            )
        return value

    def _write(self, prefix: Path, values: dict[str, Any]) -> str:
        names = list(values)
        self._tf.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=list(values.values())
        )
        values.clear()  # the last reference: the values are free once they are written
        return str(prefix)

    def _check_keys(self, found: list[str]) -> None:
        expected = sorted([OBJECTS, *(name + SUFFIX for name in self._made)])
        if found != expected:
            odd = sorted(set(found) ^ set(expected))
            raise LoweringError(f"expected TensorFlow to save {len(expected)} values, found others: {few(odd)}")

    def _place(self, name: str) -> None:
        *above, last = name.split("/")
        module = self.root
        for part in above:
            if not hasattr(module, part):
                setattr(module, part, self._tf.Module())
            module = getattr(module, part)
        setattr(module, last, self._made[name].variable)
