"""Variables of a SavedModel, in a tree of modules whose paths are the checkpoint's names."""

from collections.abc import Callable
from typing import Any

from lwmport.types import Array, Progress


class Variables:
    """Makes a variable the first time that its weight is read (`lwmport.converters.saved_model.emitter.Store`).

    ``root`` is the module to save: the weight ``encoder/Conv_0/kernel`` is ``root.encoder.Conv_0.kernel``, and has
    the key ``encoder/Conv_0/kernel/.ATTRIBUTES/VARIABLE_VALUE`` in the SavedModel's own checkpoint.
    """

    def __init__(self, tf: Any, total: int, progress: Progress) -> None:
        self.root = tf.Module()
        self._tf = tf
        self._total = total
        self._done = 0
        self._progress = progress
        self._variables: dict[str, Any] = {}

    def weight(self, name: str, shape: tuple[int, ...], dtype: str, produce: Callable[[], Array]) -> Any:
        """Return the tensor that reads the variable of this name, made outside of the function being traced."""
        if name not in self._variables:
            with self._tf.init_scope(), self._tf.name_scope(""):
                self._variables[name] = self._tf.Variable(produce(), name=name, dtype=dtype, shape=shape)
            self._place(name)
            self._report(name)
        with self._tf.name_scope(f"{name}/"):
            return self._variables[name].value()

    def _place(self, name: str) -> None:
        *above, last = name.split("/")
        module = self.root
        for part in above:
            if not hasattr(module, part):
                setattr(module, part, self._tf.Module())
            module = getattr(module, part)
        setattr(module, last, self._variables[name])

    def _report(self, name: str) -> None:
        variable = self._variables[name]
        self._done += variable.shape.num_elements() * variable.dtype.size
        self._progress(name, min(self._done, self._total), self._total)  # what conversion computes is not in the total
