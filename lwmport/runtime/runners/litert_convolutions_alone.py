"""A TFLite file cut in front of and behind each convolution of integers, so that each runs alone.

Its codes, scales and biases are as they were. What goes into a convolution, and what the rest of the model goes on
with, are inputs; what the model brings to a convolution, and what that makes of its own input, are outputs. So a
difference that one of them makes is no difference of the next one. LiteRT looks at no scale of a bias: those are held
against the product of the other two before anything runs.
"""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import atomic
from lwmport.errors import RunnerError
from lwmport.runtime.pieces.tflite_options import ints, text
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.runtime.runners.litert import LiteRTRunner
from lwmport.runtime.runners.litert_file import whole
from lwmport.runtime.runners.litert_rewritten import behind_tables, write
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Rounded

MOVERS: Final = ("CONCATENATION", "RESHAPE")
"""What may lie between QUANTIZE and the convolution beside a PAD, which is of the convolution itself."""

SAME: Final = 1e-6
"""Relative difference of scales that float32 explains."""


def open_with_convolutions_alone(path: Path, context: RunnerContext, kernels: Mapping[str, Rounded]) -> LiteRTRunner:
    """Return a TFLite file, ready to run, whose convolutions of integers run alone.

    Beside the model's own inputs and outputs there are, for each kernel, the inputs ``KERNEL/inputs`` and
    ``KERNEL/returned``, and the outputs ``KERNEL/reached`` and ``KERNEL/outputs``, all of them channels last.

    Args:
        path: the file.
        context: how it is run.
        kernels: of all convolutions of integers, and what each rounds.

    Raises:
        RunnerError: one is none in the file, the scales around it contradict each other, or LiteRT refuses it.
    """
    tables = Tables(*whole(path))
    cut = _Cut(tables)
    for kernel in kernels:
        cut.alone(kernel)
    with atomic.scratch_folder(path) as scratch:
        made = scratch / path.name
        with made.open("wb") as file:
            write(tables, cut.model(), behind_tables(tables.model), (), file)
        return LiteRTRunner(made, context.threads)


class _Cut:
    """The main subgraph of a file at work."""

    def __init__(self, tables: Tables) -> None:
        self._tables, self._schema = tables, tables.schema
        self._main, self._model = copy(tables.main), copy(tables.model)
        self._main.tensors = [copy(tensor) for tensor in self._main.tensors]
        self._main.operators = [copy(operator) for operator in self._main.operators]
        self._main.inputs, self._main.outputs = list(ints(self._main.inputs)), list(ints(self._main.outputs))
        number = self._schema.BuiltinOperator.MAXIMUM
        code = self._schema.OperatorCodeT(deprecatedBuiltinCode=number, version=1, builtinCode=number)
        tables.model.operatorCodes.append(code)
        self._makers = {place: each for each in self._main.operators for place in ints(each.outputs)}

    def model(self) -> Any:
        """Return the tables of the cut model, which has no signature: its inputs and outputs go by their own names."""
        self._model.subgraphs = [self._main, *self._model.subgraphs[1:]]
        self._model.buffers = [copy(buffer) for buffer in self._model.buffers]
        self._model.signatureDefs = None
        return self._model

    def alone(self, kernel: str) -> None:
        """Cut the graph around one convolution."""
        convolution = next((each for each in self._main.operators if self._is(each, kernel)), None)
        if convolution is None:
            raise RunnerError(f"expected a CONV_2D on int8 of {kernel}, found none")
        padding = self._maker(ints(convolution.inputs)[0], ("PAD",))
        first = convolution if padding is None else padding
        chain = self._chain(kernel, ints(first.inputs)[0])
        self._check_scales(kernel, convolution, [ints(each.outputs)[0] for each in chain])
        self._reach(kernel, convolution, chain)
        self._feed(kernel, first, chain[0])
        self._take(kernel, ints(convolution.outputs)[0])

    def _is(self, operator: Any, kernel: str) -> bool:
        places = ints(operator.inputs)
        return (
            self._tables.kind(operator) == "CONV_2D"
            and self._dtype(places[0]) == "int8"
            and text(self._main.tensors[places[1]].name) == kernel
        )

    def _chain(self, kernel: str, place: int) -> list[Any]:
        """Return what makes the codes that go into a convolution: QUANTIZE, and what moves these."""
        found: list[Any] = []
        while not found or self._tables.kind(found[0]) != "QUANTIZE":
            maker = self._maker(place, ("QUANTIZE", *MOVERS))
            if maker is None:
                raise RunnerError(f"expected a CONV_2D of {kernel} behind QUANTIZE, found none")
            found.insert(0, maker)
            place = ints(maker.inputs)[0]
        return found

    def _check_scales(self, kernel: str, convolution: Any, codes: list[int]) -> None:
        """Raise an error if the scales around a convolution contradict each other."""
        source, weights, bias = (self._parameters(place) for place in ints(convolution.inputs))
        for place in codes:
            if any(not np.array_equal(*pair) for pair in zip(source, self._parameters(place), strict=True)):
                raise RunnerError(f"expected codes of {kernel} that stand for the same numbers, found other scales")
        if weights[1].any() or bias[1].any():
            raise RunnerError(f"expected zero points of 0 for kernel and bias of {kernel}, found others")
        wanted = source[0] * weights[0]
        if bias[0].shape != wanted.shape or not np.allclose(bias[0], wanted, rtol=SAME, atol=0):
            raise RunnerError(f"expected a bias in steps of input times kernel beside {kernel}, found other scales")

    def _reach(self, kernel: str, convolution: Any, chain: list[Any]) -> None:
        """Make an output of the numbers that the model brings to a convolution, moved as their codes are."""
        moved = {ints(chain[0].outputs)[0]: ints(chain[0].inputs)[0]}
        for step, operator in enumerate(chain[1:]):
            own = copy(operator)
            (out,) = ints(operator.outputs)
            moved[out] = self._numbers(f"{kernel}/moved{step}", out)
            own.inputs = [moved.get(place, place) for place in ints(operator.inputs)]
            own.outputs = [moved[out]]
            self._insert(own, convolution)
        self._name_output(f"{kernel}/reached", moved[ints(chain[-1].outputs)[0]], convolution)

    def _feed(self, kernel: str, first: Any, quantize: Any) -> None:
        """Give a convolution a QUANTIZE of its own, of an input of the model."""
        codes, *others = ints(first.inputs)
        source, own = self._numbers(f"{kernel}/inputs", codes), copy(quantize)
        fed = copy(self._main.tensors[codes])
        fed.name = f"{kernel}/codes"
        self._main.tensors.append(fed)
        own.inputs, own.outputs = [source], [len(self._main.tensors) - 1]
        first.inputs = [*own.outputs, *others]
        self._main.inputs.append(source)
        self._insert(own, first)

    def _take(self, kernel: str, codes: int) -> None:
        """Make an output of what a convolution gives, and let all that read it read an input of the model."""
        reader = next((each for each in self._main.operators if codes in ints(each.inputs)), None)
        if reader is None or self._tables.kind(reader) != "DEQUANTIZE":
            raise RunnerError(f"expected a CONV_2D of {kernel} in front of DEQUANTIZE, found none")
        (given,) = ints(reader.outputs)
        returned = self._numbers(f"{kernel}/returned", given)
        for each in self._main.operators:
            each.inputs = [returned if place == given else place for place in ints(each.inputs)]
        self._main.inputs.append(returned)
        if given in self._main.outputs:
            place = self._numbers(text(self._main.tensors[given].name), given)
            self._same(returned, place)
            self._main.outputs[self._main.outputs.index(given)] = place
        self._main.tensors[given].name = f"{kernel}/outputs"
        self._main.outputs.append(given)

    def _name_output(self, name: str, place: int, before: Any) -> None:
        """Make an output of a value, under a name of its own."""
        own = self._numbers(name, place)
        self._same(place, own, before)
        self._main.outputs.append(own)

    def _same(self, source: int, out: int, before: Any = None) -> None:
        """Append an operator that gives what it gets: TFLite has no IDENTITY."""
        last = len(self._model.operatorCodes) - 1
        own = self._schema.OperatorT(opcodeIndex=last, inputs=[source, source], outputs=[out])
        self._insert(own, before)

    def _insert(self, operator: Any, before: Any) -> None:
        places = [place for place, each in enumerate(self._main.operators) if each is before]
        self._main.operators.insert(places[0] if places else len(self._main.operators), operator)

    def _numbers(self, name: str, like: int) -> int:
        """Return a new tensor of float32 with the shape of another one."""
        own = copy(self._main.tensors[like])
        own.name, own.type, own.quantization, own.buffer = name, self._schema.TensorType.FLOAT32, None, 0
        self._main.tensors.append(own)
        return len(self._main.tensors) - 1

    def _maker(self, place: int, kinds: tuple[str, ...]) -> Any:
        found = self._makers.get(place)
        return found if found is not None and self._tables.kind(found) in kinds else None

    def _dtype(self, place: int) -> str:
        return self._tables.types.get(self._main.tensors[place].type, "").lower()

    def _parameters(self, place: int) -> tuple[Array, Array]:
        """Return scales and zero points of a tensor."""
        found = self._main.tensors[place].quantization
        scales, zeros = (None, None) if found is None else (found.scale, found.zeroPoint)
        return np.asarray([] if scales is None else scales, np.float32), np.asarray([] if zeros is None else zeros)
