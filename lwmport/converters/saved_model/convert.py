"""SavedModel: a program and its weights become the folder ``NAME.saved_model``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, disk
from lwmport.converters.choices_text import choices_text
from lwmport.converters.saved_model.canonical import make_canonical
from lwmport.converters.saved_model.emitter import Emitter
from lwmport.converters.saved_model.functions import count_operators, traced
from lwmport.converters.saved_model.rules import PRIMITIVES, expanded, native_rules
from lwmport.converters.saved_model.variables import Variables
from lwmport.converters.saved_model.xla import xla_function
from lwmport.errors import PortError, one_line
from lwmport.extras import require
from lwmport.graphs.program import Program
from lwmport.types import Artifact, Dialect, Progress, Weights

SIGNATURE: Final = "serving_default"

EXTRA: Final = "assets.extra"
"""The folder of a SavedModel for others' files, which no reader loads (tensorflow/python/saved_model/README.md)."""

WORDS: Final = "lwmport.json"
"""The file in it that says what the model depends on."""

XLA: Final = "xla"
"""The dialect that holds jax2tf's own output rather than plain operators."""


def convert(program: Program, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the program as a SavedModel into the folder ``out``.

    Raises:
        LoweringError: the program holds an operation that plain TensorFlow operators cannot express.
        MissingExtraError: TensorFlow is not installed.
    """
    tf = require("tensorflow")
    store = Variables(tf, progress)
    if dialect.name == XLA:
        function = xla_function(tf, program, weights, store)
    else:
        function = plain_function(tf, program, weights, dialect, store)
    folder = out / f"{program.component}.saved_model"
    with atomic.os_errors(folder), disk.blamed(out, weight_bytes(program)), _refused(tf, folder):
        tf.saved_model.save(store.root, str(folder), signatures={SIGNATURE: function})
        store.fill(folder)
        make_canonical(folder)
        _tell(folder, choices_text(weights))
    return Artifact(
        component=program.component,
        format="saved_model",
        dialect=dialect.name,
        path=folder,
        files=tuple(sorted(path for path in folder.rglob("*") if path.is_file())),
        signature=program.signature,
        operators=count_operators(function.graph.as_graph_def()),
        details={"signature": SIGNATURE, "program": program.digest},
    )


def _tell(folder: Path, words: bytes) -> None:
    if words:
        (folder / EXTRA).mkdir(exist_ok=True)  # an interrupted run may have come this far
        (folder / EXTRA / WORDS).write_bytes(words)


@contextlib.contextmanager
def _refused(tf: Any, folder: Path) -> Iterator[None]:
    """Turn what TensorFlow says of a file that it cannot write into one line."""
    try:
        yield
    except tf.errors.OpError as error:
        raise PortError(f"cannot write {folder}: TensorFlow says {one_line(error)[:300]}") from error


def plain_function(tf: Any, program: Program, weights: Weights, dialect: Dialect, store: Variables) -> Any:
    """Return the traced TensorFlow function of a program in plain operators."""
    flat = expanded(program, dialect)
    rules = (PRIMITIVES, native_rules(dialect))
    return traced(tf, program.signature, lambda *inputs: Emitter(tf, flat, weights, store, rules).run(inputs))


def weight_bytes(program: Program) -> int:
    """Return the bytes of the weights that a program reads."""
    variables = program.jaxpr.invars[: len(program.weight_names)]
    read = [variable.aval for variable in variables if program.readers[variable]]
    return int(sum(aval.size * aval.dtype.itemsize for aval in read))
