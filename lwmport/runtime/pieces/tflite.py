"""Pieces of a TFLite file: some of its operators, cut out as a file in memory, which LiteRT runs on given values."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import extras
from lwmport.errors import ArtifactError, RunnerError, one_line
from lwmport.runtime.pieces.given import needed
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.pieces.tflite_cut import Cut
from lwmport.runtime.pieces.tflite_options import ints, text
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.runtime.runners.litert_file import chosen, whole
from lwmport.types import Array, TensorSpec

KEPT: Final = 32
"""Pieces that stay open: the same operators often run twice, on both sides' values. Each may have threads."""

KEPT_BYTES: Final = 64 << 20
"""Of the files of all pieces that stay open."""


class TFLitePieces:
    """The operators of the subgraph that runs where none is named (`lwmport.runtime.pieces.spec.Pieces`).

    TFLite's operators have no names. A tensor whose name is empty, or one that an earlier tensor has, is called by that
    and its place: ``#12``, ``weight#12``. Bodies (WHILE, IF, STABLEHLO_COMPOSITE) travel with their operator.

    LiteRT runs the pieces with XNNPACK, as `lwmport.runtime.runners.litert` runs the whole file, unless ``delegate`` is
    false. XNNPACK computes a convolution of constant kernels alone. So a value that is fed is written into the piece as
    a constant where the whole file computes it of constants too (DEQUANTIZE of a float16 kernel); all others are
    inputs of the piece. XNNPACK refuses operators that read constants alone: what is computed of these is by LiteRT's
    own kernels.

    Attributes:
        public_inputs, public_outputs: names in the file's signature -> names of tensors; the latter alone where it has
            no signature.

    Raises:
        RunnerError: it is no TFLite file, or not whole.
        ArtifactError: its tables contradict themselves.
        MissingExtraError: LiteRT is not installed.
    """

    format = "tflite"

    def __init__(self, path: Path, threads: int, *, delegate: bool = True) -> None:
        self._litert = extras.require("ai_edge_litert.interpreter")
        self._path, self._threads, self._delegate = path, threads, delegate
        self._kept: OrderedDict[Any, _Opened] = OrderedDict()
        model, data = whole(path)
        try:
            self._tables = Tables(model, data)
            self._places = {name: place for place, name in enumerate(self._tables.names)}
            self.public_inputs, self.public_outputs = self._signature(model)
        except ArtifactError as error:
            raise ArtifactError(f"{error}, in {path}") from error
        self._closed = False

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs of the whole model, by the names of tensors."""
        return tuple(map(self._tables.spec, ints(self._tables.main.inputs)))

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs of the whole model, by the names of tensors."""
        return tuple(map(self._tables.spec, ints(self._tables.main.outputs)))

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """All operators, each behind what it reads."""
        return tuple(map(self._tables.operator, range(len(self._tables.main.operators))))

    @cached_property
    def constants(self) -> Mapping[str, TensorSpec]:
        """Shape and dtype of every tensor that the file has the value of."""
        return {self._tables.names[place]: self._tables.spec(place) for place in sorted(self._tables.constants)}

    def constant(self, name: str) -> Array:
        """Return the value of a constant, mapped from the file.

        Raises:
            RunnerError: the model is closed, or has no such constant.
            ArtifactError: the file has fewer bytes of it than its shape needs, or keeps it in a sparse form.
        """
        self._check_open()
        place = self._place(name)
        if place not in self._tables.constants:
            raise RunnerError(f"expected a constant of {self._path}, found {name}, which is computed or fed")
        return self._tables.value(place)

    def run(self, operators: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Return some tensors that a few operators compute, by name (`lwmport.runtime.pieces.spec.Pieces.run`).

        Values that none of the operators reads are left alone.

        Raises:
            RunnerError: the model is closed, a value is missing or of another dtype than the file's, or LiteRT refuses
                the operators or the values.
        """
        self._check_open()
        places = sorted(set(operators))
        arrays = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        read = needed([self.operators[place] for place in places], arrays, wanted, self.constants, self._dtype)
        outputs = {name: self._place(name) for name in wanted}
        values = {self._place(name): array for name, array in read.items()}
        fixed = [place for place in places if self._tables.fixed.issuperset(self._tables.outputs(place))]
        found: dict[int, Array] = {}
        for steady, among in ((True, fixed), (False, places)):
            ends = tuple(place for place in outputs.values() if (place in self._tables.fixed) == steady)
            if ends:
                found |= self._run(among, values, ends, delegated=self._delegate and not steady)
        return {name: found[place] for name, place in outputs.items()}

    def close(self) -> None:
        """Give back what is held. A second call does nothing."""
        self._closed = True
        self._kept.clear()

    def _run(
        self, operators: Sequence[int], values: Mapping[int, Array], ends: Sequence[int], *, delegated: bool
    ) -> dict[int, Array]:
        """Return the tensors ``ends`` that operators compute: by a piece that was opened before, if one serves."""
        operators = self._tables.leading_to(ends, operators)
        read = self._tables.read(operators)
        constants = {place: array for place, array in values.items() if place in read & self._tables.fixed}
        inputs = {place: values[place] for place in sorted(read & set(values)) if place not in constants}
        shapes = {place: array.shape for place, array in inputs.items()}
        key = (tuple(operators), tuple(shapes.items()), tuple(ends))
        opened = None if constants else self._kept.get(key)
        if opened is None:
            cut = Cut(self._tables, operators, shapes, constants, tuple(dict.fromkeys(ends)))
            opened = self._open(cut, delegated=delegated)
        if not constants:
            self._keep(key, opened)
        return opened.run(inputs, ends)

    def _open(self, cut: Cut, *, delegated: bool) -> "_Opened":
        kinds = self._litert.OpResolverType
        resolver = kinds.AUTO if delegated else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            interpreter = self._litert.Interpreter(
                model_content=cut.content, num_threads=self._threads, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT refused operators of {self._path}: {one_line(error)}") from error
        return _Opened(interpreter, cut.places, len(cut.content))

    def _keep(self, key: Any, opened: "_Opened") -> None:
        """Keep a piece that is not large, and of the others those that were used last."""
        if opened.nbytes <= KEPT_BYTES:
            self._kept[key] = opened
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT or sum(each.nbytes for each in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)

    def _signature(self, model: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
        found, names = chosen(model), self._tables.names
        if found is None:
            sides = (self._tables.main.inputs, self._tables.main.outputs)
            inputs, outputs = ({names[place]: names[place] for place in ints(side)} for side in sides)
            return inputs, outputs
        for entry in (*(found.inputs or ()), *(found.outputs or ())):
            if not 0 <= entry.tensorIndex < len(names):
                raise ArtifactError(f"expected one of {len(names)} tensors, found number {entry.tensorIndex}")
        inputs, outputs = (
            {text(entry.name): names[entry.tensorIndex] for entry in side or ()}
            for side in (found.inputs, found.outputs)
        )
        return inputs, outputs

    def _place(self, name: str) -> int:
        if name not in self._places:
            raise RunnerError(f"expected a tensor of {self._path}, found the name {name!r}")
        return self._places[name]

    def _dtype(self, name: str) -> str:
        return self._tables.dtype(self._place(name))

    def _check_open(self) -> None:
        if self._closed:
            raise RunnerError(f"expected open pieces of {self._path}, found closed ones; open them again")


class _Opened:
    """A piece in LiteRT; tensors go by their numbers in the whole file."""

    def __init__(self, interpreter: Any, places: Mapping[int, int], nbytes: int) -> None:
        self._interpreter, self._places, self.nbytes = interpreter, places, nbytes

    def run(self, inputs: Mapping[int, Array], outputs: Sequence[int]) -> dict[int, Array]:
        try:
            self._interpreter.reset_all_variables()
            for place, array in inputs.items():
                self._interpreter.set_tensor(self._places[place], array)
            self._interpreter.invoke()
            return {place: np.asarray(self._interpreter.get_tensor(self._places[place])) for place in outputs}
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT failed on operators: {one_line(error)}") from error


def open_tflite(path: Path, threads: int, *, delegate: bool = True) -> TFLitePieces:
    """Return the pieces of a TFLite file."""
    return TFLitePieces(path, threads, delegate=delegate)
