"""One contract for the pieces of every format: any operators on any values, together what the whole model computes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport.errors import PortError, RunnerError
from lwmport.models.llama.test_inputs import language_inputs
from lwmport.models.options import Options
from lwmport.pipeline.reopen import reopen
from lwmport.processors import processors
from lwmport.registry import load
from lwmport.runtime.pieces.spec import Pieces
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array

SMALL = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip
OPENERS = {
    "tflite": "lwmport.runtime.pieces.tflite:open_tflite",
    "saved_model": "lwmport.runtime.pieces.tensorflow:open_saved_model",
    "frozen_graph": "lwmport.runtime.pieces.tensorflow:open_frozen_graph",
}
NEEDS = {"tflite": "ai_edge_litert", "saved_model": "tensorflow", "frozen_graph": "tensorflow"}
CASES = [
    ("tflite", "vqgan-encoder", "float32"),
    ("tflite", "llama", "float32"),
    ("tflite", "llama", "float16"),
    ("saved_model", "vqgan-encoder", "float32"),
    ("saved_model", "llama", "float32"),
    ("frozen_graph", "vqgan-encoder", "float32"),
    ("frozen_graph", "llama", "float32"),
]
SAME_IN_ONE_CALL = {"tflite"}
"""Formats whose pieces in one call are the whole model to the bit. TensorFlow's runner lets its optimiser fuse."""

SAME_ONE_BY_ONE = {"saved_model", "frozen_graph"}
"""Formats whose operators give the same bits alone and together. XNNPACK fuses the mean of a square (MUL, MEAN)."""

CLOSE = 1e-6
"""Of the largest value of an output: what fusing changes in rounding."""


@dataclass(kw_only=True)
class Model:
    """A converted model as pieces, and what its runner computes."""

    form: str
    path: Path
    opened: list[Pieces] = field(default_factory=list)
    given: Mapping[str, Array]

    def open(self) -> Any:
        self.opened.append(load(OPENERS[self.form])(self.path, processors()))
        return self.opened[-1]

    @cached_property
    def pieces(self) -> Any:
        return self.open()

    @cached_property
    def whole(self) -> dict[str, Array]:
        """The runner's outputs by the names of tensors."""
        runner = open_runner(self.path, RunnerContext(threads=processors()))
        found = runner.run(self.given)
        runner.close()
        return {self.pieces.public_outputs[name]: array for name, array in found.items()}

    @cached_property
    def inputs(self) -> dict[str, Array]:
        return {self.pieces.public_inputs[name]: array for name, array in self.given.items()}

    @cached_property
    def values(self) -> dict[str, Array]:
        """All values that the model computes, and its inputs, by the names of tensors."""
        names = [name for operator in self.pieces.operators for name in operator.outputs if name]
        return self.inputs | self.run(names)

    def run(self, wanted: Any, **others: Array) -> dict[str, Array]:
        found: dict[str, Array] = self.pieces.run(range(len(self.pieces.operators)), self.inputs | others, wanted)
        return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Model]]:
    made: dict[Any, Model] = {}

    def convert(form: str, component: str, precision: str) -> Model:
        pytest.importorskip(NEEDS[form])
        key = form, component, precision
        if key not in made:
            out = tmp_path_factory.mktemp(form) / "out"
            language = component == "llama"
            static = {"sequence": 4, "max_length": 8} if language and form != "saved_model" else {}
            lwmport.convert(
                component=component,
                format=form,
                out=out,
                config=SMALL if language else "debug",
                options=Options(precision=precision, **static),
                validate=False,
            )
            folder = reopen(out)
            part = folder.parts[0]
            random = np.random.default_rng(3)
            if language:
                given = dict(language_inputs(folder.component(part.name), 1).inputs)
            else:
                given = {"pixel_values": random.uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)}
            made[key] = Model(form=form, path=folder.path(part), given=given)
        return made[key]

    yield convert
    for model in made.values():
        for pieces in model.opened:
            pieces.close()


@pytest.fixture(scope="module", params=CASES, ids=" ".join)
def model(request: pytest.FixtureRequest, models: Callable[..., Model]) -> Model:
    return models(*request.param)


@pytest.fixture(scope="module", params=OPENERS)
def encoder(request: pytest.FixtureRequest, models: Callable[..., Model]) -> Model:
    return models(request.param, "vqgan-encoder", "float32")


def distance(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if np.array_equal(found, expected):
        return 0.0
    wide = expected.astype(np.float64)
    return float(np.abs(found.astype(np.float64) - wide).max() / np.abs(wide).max())


def test_operators_come_behind_what_they_read(model: Model) -> None:
    pieces = model.pieces
    known = {"", *pieces.constants, *(spec.name for spec in pieces.inputs)}
    for operator in pieces.operators:
        assert set(operator.inputs) <= known, operator
        assert not set(operator.outputs) & known - {""}
        known |= set(operator.outputs)
    assert {spec.name for spec in pieces.outputs} <= known
    assert pieces.format == model.form


def test_one_call_gives_what_the_whole_model_gives(model: Model) -> None:
    found = model.run(list(model.whole))
    for name, expected in model.whole.items():
        assert distance(found[name], expected) <= (0 if model.form in SAME_IN_ONE_CALL else CLOSE), name


def test_one_by_one_gives_what_the_whole_model_gives(model: Model) -> None:
    values = dict(model.inputs)
    for place, operator in enumerate(model.pieces.operators):
        feeds = {name: values[name] for name in operator.inputs if name in values}
        values |= model.pieces.run([place], feeds, [name for name in operator.outputs if name])
    for name, expected in model.whole.items():
        assert distance(values[name], expected) <= CLOSE, name
        if model.form in SAME_ONE_BY_ONE:
            assert np.array_equal(values[name], model.values[name]), name


def test_some_in_the_middle_run_on_values_that_are_fed(model: Model) -> None:
    operators, half = model.pieces.operators, len(model.pieces.operators) // 2
    some = range(half, half + 12)
    made = {name for place in some for name in operators[place].outputs}
    read = {name for place in some for name in operators[place].inputs} - made
    feeds = {name: model.values[name] for name in read if name in model.values}
    found = model.pieces.run(some, feeds, sorted(made))
    assert set(found) == made
    for name, array in found.items():
        assert distance(array, model.values[name]) <= CLOSE, name


def test_values_of_another_batch_run_too(model: Model) -> None:
    place = next(place for place, each in enumerate(model.pieces.operators) if each.type in {"ADD", "AddV2", "Add"})
    operator = model.pieces.operators[place]
    feeds = {name: np.repeat(model.values[name], 2, axis=0) for name in operator.inputs if name in model.values}
    (found,) = model.pieces.run([place], feeds, operator.outputs).values()
    (alone,) = (model.values[name] for name in operator.outputs)
    assert found.shape[0] == 2 * alone.shape[0] or found.shape == alone.shape


def test_a_constant_that_is_fed_has_another_value(model: Model) -> None:
    constants = model.pieces.constants
    name = next(name for name, spec in constants.items() if len(spec.shape) > 1 and spec.dtype.startswith("float"))
    value = model.pieces.constant(name)
    assert value.shape == constants[name].shape
    assert value.dtype.name == constants[name].dtype
    outputs = list(model.whole)
    same = model.run(outputs, **{name: value.copy()})
    other = model.run(outputs, **{name: value * 2})
    plain = model.run(outputs)
    assert all(np.array_equal(same[output], plain[output]) for output in outputs)
    assert any(not np.array_equal(other[output], plain[output]) for output in outputs)


def test_public_names_are_those_of_the_runner(model: Model) -> None:
    pieces = model.pieces
    runner = open_runner(model.path, RunnerContext(threads=processors()))
    assert set(pieces.public_inputs) == {spec.name for spec in runner.inputs}
    assert set(pieces.public_outputs) == {spec.name for spec in runner.outputs}
    assert set(pieces.public_inputs.values()) == {spec.name for spec in pieces.inputs}
    assert set(pieces.public_outputs.values()) == {spec.name for spec in pieces.outputs}
    runner.close()


def test_what_does_not_fit_costs_one_line(encoder: Model) -> None:
    pieces = encoder.pieces
    place = next(place for place, each in enumerate(pieces.operators) if each.inputs[0] in encoder.values)
    operator = pieces.operators[place]
    feeds = {name: encoder.values[name] for name in operator.inputs if name in encoder.values}
    output = operator.outputs[0]
    with pytest.raises(RunnerError, match="expected a value for"):
        pieces.run([place], {}, [output])
    with pytest.raises(RunnerError, match="expected an output of these operators, found 'nothing'"):
        pieces.run([place], feeds, ["nothing"])
    with pytest.raises(RunnerError, match=r"expected float32 for .*, found float64"):
        pieces.run([place], {name: array.astype(np.float64) for name, array in feeds.items()}, [output])
    with pytest.raises(RunnerError, match="which they make"):
        pieces.run([place], feeds | {output: encoder.values[output]}, [output])
    with pytest.raises(RunnerError, match="expected a constant"):
        pieces.constant(output)
    with pytest.raises(RunnerError) as caught:
        pieces.run([place], {name: array[..., :1, :0] for name, array in feeds.items()}, [output])
    assert "\n" not in str(caught.value)


def test_closed_pieces_refuse(encoder: Model) -> None:
    pieces = encoder.open()
    name = next(iter(pieces.constants))
    pieces.close()
    pieces.close()
    with pytest.raises(RunnerError, match="closed"):
        pieces.constant(name)
    with pytest.raises(RunnerError, match="closed"):
        pieces.run([0], encoder.inputs, pieces.operators[0].outputs)


def test_a_cut_file_costs_one_line(encoder: Model, tmp_path: Path) -> None:
    source = encoder.path / "saved_model.pb" if encoder.path.is_dir() else encoder.path
    target = tmp_path / encoder.path.name
    file = target / source.name if encoder.path.is_dir() else target
    file.parent.mkdir(exist_ok=True)
    content = source.read_bytes()
    for length in (0, 3, 100, len(content) // 2, len(content) - 2):
        file.write_bytes(content[:length])
        with pytest.raises(PortError) as caught:
            load(OPENERS[encoder.form])(target, processors())
        assert "\n" not in str(caught.value)
    with pytest.raises(PortError):
        load(OPENERS[encoder.form])(tmp_path / "none", processors())
