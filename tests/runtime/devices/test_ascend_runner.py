"""Ascend's two libraries as stand-ins that behave as the real ones are known to, in silence too."""

import ctypes
import functools
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport import extras
from lwmport.errors import RunnerError
from lwmport.runtime.devices.ascend import OmRunner
from lwmport.runtime.registry import RUNNERS
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Signature, TensorSpec

X = TensorSpec(name="x", shape=(2, 3), dtype="float32")
IDS = TensorSpec(name="ids", shape=(2,), dtype="int64")
SUM = TensorSpec(name="total", shape=(2,), dtype="float32")
TWICE = TensorSpec(name="twice", shape=(2, 3), dtype="float32")
SIGNATURE = Signature(inputs=(X, IDS), outputs=(TWICE, SUM))
INPUTS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "ids": np.array([1, 2])}
CODES = {"float32": 0, "float16": 1, "int32": 3, "uint8": 4, "int64": 9}


class Model:
    """What is on the stand-in device: ports in the file's order, and a function from feeds to outputs."""

    def __init__(self, **changes: Any) -> None:
        self.inputs = [("x", (2, 3), "float32"), ("ids", (2,), "int64")]
        self.outputs = [("Mul_1:0:twice", (2, 3), "float32"), ("Sum_2:0:total", (2,), "float32")]
        self.gears = False
        self.fails = ""
        self.skips: set[int] = set()
        vars(self).update(changes)

    def compute(self, feeds: list[Any]) -> list[Any]:
        named = dict(zip([name for name, _, _ in self.inputs], feeds, strict=True))
        x = named["x"].astype(np.float32)
        made = {"twice": x * 2, "total": x.sum(axis=1) + named["ids"]}
        return [made[name.rpartition(":")[2]].astype(dtype) for name, _, dtype in self.outputs]


class Desc:
    def __init__(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        self.name, self.shape, self.datatype = name, list(shape), f"dtype.{dtype}"
        self.size = int(np.prod(shape)) * np.dtype(dtype).itemsize if -1 not in shape else 0


class InferSession:
    """ais_bench's: outputs lie in buffers that the next run overwrites, and modes that it lacks run as static."""

    def __init__(self, model: Model, device_id: int, model_path: str) -> None:
        if model.fails == "load":
            raise RuntimeError(f"load model {model_path} on {device_id} failed")
        self.model, self.gear = model, ""
        self.buffers: dict[Any, Any] = {}

    def get_inputs(self) -> list[Desc]:
        hidden = [Desc("ascend_mbatch_shape_data", (4,), "int32")] if self.model.gears else []
        return [Desc(*item) for item in self.model.inputs] + hidden

    def get_outputs(self) -> list[Desc]:
        return [Desc(*item) for item in self.model.outputs]

    def set_dynamic_batchsize(self, batch: str) -> None:
        self.gear = f"batch {batch}"

    def infer(self, feeds: list[Any], mode: str = "static") -> list[Any]:
        assert mode == "static", "any other word runs as static without a word"
        return self.run(feeds, out_array=True)

    def run(self, feeds: list[Any], *, out_array: bool) -> list[Any]:
        assert out_array
        if self.model.fails == "run" or (self.model.gears and not self.gear):
            raise RuntimeError("execute failed")
        for feed, (_, _, dtype) in zip(feeds, self.model.inputs, strict=True):
            assert feed.flags["C_CONTIGUOUS"], "the library reads raw memory"
            assert str(feed.dtype) == dtype
        found = []
        for number, array in enumerate(self.model.compute(feeds)):
            buffer = self.buffers.setdefault((number, array.shape), np.zeros_like(array))
            buffer[...] = array
            found.append(buffer)
        return found[:1] if self.model.fails == "one" else found


def ais_bench(model: Model) -> dict[str, types.ModuleType]:
    return modules("ais_bench.infer.interface", InferSession=functools.partial(InferSession, model))


class Acl:
    """pyACL: numbers for pointers, codes for errors, and an execute that may leave an output as it was."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.memory: dict[int, Any] = {}
        self.freed: list[Any] = []
        self.batch = 0
        hidden = [("ascend_mbatch_shape_data", (1,), "int32")] if model.gears else []
        self.inputs = model.inputs + hidden

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.batch, *shape[1:]) if self.batch else shape

    def dims(self, items: list[Any], number: int) -> tuple[dict[str, Any], int]:
        name, shape, _ = items[number]
        return {"name": name, "dimCount": len(shape), "dims": list(self.shape(shape))}, 0

    def size(self, items: list[Any], number: int) -> int:
        _, shape, dtype = items[number]
        return int(np.prod(shape)) * np.dtype(dtype).itemsize

    def malloc(self, count: int, _policy: int) -> tuple[int, int]:
        array = np.zeros(max(count, 1), np.uint8)
        self.memory[array.ctypes.data] = array
        return array.ctypes.data, 100000 if self.model.fails == "malloc" else 0

    def memcpy(self, target: int, room: int, source: int, count: int, _way: int) -> int:
        if count > room:
            return 107002
        ctypes.memmove(target, source, count)
        return 0

    def memset(self, pointer: int, room: int, value: int, count: int) -> int:
        assert count <= room
        ctypes.memset(pointer, value, count)
        return 0

    def execute(self, _model: int, feeds: list[Any], results: list[Any]) -> int:
        if self.model.fails == "run":
            return 507011
        arrays = []
        for (pointer, _), (_, full, dtype) in zip(feeds, self.model.inputs, strict=False):
            shape = self.shape(full)
            count = int(np.prod(shape)) * np.dtype(dtype).itemsize
            arrays.append(np.frombuffer(bytes(self.memory[pointer][:count]), dtype).reshape(shape))
        for number, array in enumerate(self.model.compute(arrays)):
            if number not in self.model.skips:
                raw = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
                self.memory[results[number][0]][: raw.size] = raw
        return 0

    def set_batch(self, _model: int, _feeds: Any, number: int, batch: int) -> int:
        assert number == len(self.model.inputs)
        self.batch = batch
        return 0

    def add(self, dataset: list[Any], buffer: Any) -> tuple[list[Any], int]:
        dataset.append(buffer)
        return dataset, 0

    def mdl(self) -> types.SimpleNamespace:
        outputs = self.model.outputs
        return types.SimpleNamespace(
            load_from_file=lambda _path: (1, 145000 if self.model.fails == "load" else 0),
            create_desc=lambda: 5,
            get_desc=lambda _desc, _model: 0,
            get_num_inputs=lambda _desc: len(self.inputs),
            get_num_outputs=lambda _desc: len(outputs),
            get_input_dims=lambda _desc, number: self.dims(self.inputs, number),
            get_output_dims=lambda _desc, number: self.dims(outputs, number),
            get_cur_output_dims=lambda _desc, number: self.dims(outputs, number),
            get_input_data_type=lambda _desc, number: CODES[self.inputs[number][2]],
            get_output_data_type=lambda _desc, number: CODES.get(outputs[number][2], 99),
            get_input_name_by_index=lambda _desc, number: self.inputs[number][0],
            get_output_name_by_index=lambda _desc, number: outputs[number][0],
            get_input_size_by_index=lambda _desc, number: self.size(self.inputs, number),
            get_output_size_by_index=lambda _desc, number: self.size(outputs, number),
            create_dataset=list,
            add_dataset_buffer=self.add,
            execute=self.execute,
            set_dynamic_batch_size=self.set_batch,
            unload=lambda _model: self.freed.append("model"),
            destroy_dataset=lambda _dataset: 0,
            destroy_desc=lambda _desc: 0,
        )

    def rt(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(
            set_device=lambda _device: 0,
            create_context=lambda _device: (3, 0),
            set_context=lambda _context: 0,
            malloc=self.malloc,
            memcpy=self.memcpy,
            memset=self.memset,
            free=self.freed.append,
        )


def acl(model: Model) -> dict[str, types.ModuleType]:
    made = Acl(model)
    return modules(
        "acl",
        init=lambda: 100002,
        mdl=made.mdl(),
        rt=made.rt(),
        create_data_buffer=lambda pointer, count: (pointer, count),
        get_recent_err_msg=lambda: "E99999: the device's own words",
        freed=made.freed,
    )


def modules(dotted: str, **members: Any) -> dict[str, types.ModuleType]:
    """Return a module and its parents."""
    parts = dotted.split(".")
    made = {".".join(parts[: end + 1]): types.ModuleType(parts[end]) for end in range(len(parts))}
    vars(made[dotted]).update(members)
    return made


LIBRARIES: dict[str, Callable[[Model], dict[str, types.ModuleType]]] = {"acl": acl, "ais_bench": ais_bench}


@pytest.fixture(params=LIBRARIES)
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what opens a runner on a stand-in device, once with each library."""
    (tmp_path / "model.om").write_bytes(b"om")

    def make(signature: Signature = SIGNATURE, **changes: Any) -> OmRunner:
        for name, module in LIBRARIES[request.param](Model(**changes)).items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(extras, "installed", lambda name: name == request.param)
        return OmRunner(tmp_path / "model.om", signature)

    make.library = request.param  # type: ignore[attr-defined]
    return make


def expected(inputs: dict[str, Any] = INPUTS) -> dict[str, Any]:
    return {"twice": inputs["x"] * 2, "total": inputs["x"].sum(axis=1) + inputs["ids"]}


def check(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(found) == ["twice", "total"]
    for name, array in wanted.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], array.astype(np.float32))


def test_a_run(opened: Any) -> None:
    runner = opened()
    assert runner.notes == ()
    check(runner.run(INPUTS), expected())


def test_other_orders_are_put_right_by_name(opened: Any) -> None:
    runner = opened(
        inputs=[("ids", (2,), "int64"), ("x", (2, 3), "float32")],
        outputs=[("Sum_2:0:total", (2,), "float32"), ("Mul_1:0:twice", (2, 3), "float32")],
    )
    check(runner.run(INPUTS), expected())


def test_a_result_survives_the_next_run(opened: Any) -> None:
    runner = opened()
    first = runner.run(INPUTS)
    runner.run({"x": -INPUTS["x"], "ids": INPUTS["ids"]})
    check(first, expected())


def test_float16_outputs_and_narrow_inputs_are_put_right_and_told(opened: Any) -> None:
    runner = opened(
        inputs=[("x", (2, 3), "float16"), ("ids", (2,), "int32")],
        outputs=[("a:0:twice", (2, 3), "float16"), ("b:0:total", (2,), "float16")],
    )
    check(runner.run(INPUTS), expected())
    assert "input ids is int32 on the device, int64 in the signature" in runner.notes
    assert "output twice is float16 on the device, float32 in the signature" in runner.notes


def test_arrays_that_are_not_contiguous_are_copied(opened: Any) -> None:
    inputs = {"x": np.arange(6, dtype=np.float32).reshape(3, 2).T, "ids": np.arange(4)[::2]}
    check(opened().run(inputs), expected(inputs))


def test_gears_of_a_batch(opened: Any) -> None:
    def dynamic(spec: TensorSpec) -> TensorSpec:
        return TensorSpec(name=spec.name, shape=("batch", *spec.shape[1:]), dtype=spec.dtype)

    signature = Signature(inputs=(dynamic(X), dynamic(IDS)), outputs=(dynamic(TWICE), dynamic(SUM)))
    largest = {
        "inputs": [("x", (4, 3), "float32"), ("ids", (4,), "int64")],
        "outputs": [("a:0:twice", (4, 3), "float32"), ("b:0:total", (4,), "float32")],
    }
    runner = opened(signature, gears=True, **largest)
    for batch in (1, 4, 2):
        inputs = {"x": np.random.default_rng(batch).integers(0, 9, (batch, 3)).astype(np.float32)}
        inputs["ids"] = np.arange(batch)
        check(runner.run(inputs), expected(inputs))


FAILURES = {
    "load": ({"fails": "load"}, "refused|load_from_file"),
    "run": ({"fails": "run"}, "the device failed|acl.mdl.execute"),
    "another model": ({"inputs": [("x", (2, 4), "float32"), ("ids", (2,), "int64")]}, "another model"),
    "an input more": (
        {"inputs": [("x", (2, 3), "float32"), ("ids", (2,), "int64"), ("y", (1,), "int64")]},
        "expected 2 inputs",
    ),
    "pictures as bytes": ({"inputs": [("x", (2, 3), "uint8"), ("ids", (2,), "int64")]}, "pictures as bytes"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_one_line(name: str, opened: Any) -> None:
    changes, message = FAILURES[name]
    with pytest.raises(RunnerError, match=message) as caught:
        opened(**changes).run(INPUTS)
    assert "\n" not in str(caught.value)


def test_wrong_inputs_never_reach_the_device(opened: Any) -> None:
    with pytest.raises(RunnerError, match="expected x as float32"):
        opened().run({**INPUTS, "x": INPUTS["x"].astype(np.float64)})


def test_an_output_that_was_not_written_is_no_earlier_result(opened: Any) -> None:
    if opened.library != "acl":
        pytest.skip("ais_bench owns its buffers")
    runner = opened(skips={1})
    found = runner.run(INPUTS)
    assert np.isnan(found["total"]).all()


def test_an_output_too_few_is_noticed(opened: Any) -> None:
    if opened.library != "ais_bench":
        pytest.skip("pyACL is asked for each output")
    with pytest.raises(RunnerError, match="expected 2 outputs from the device, found 1"):
        opened(fails="one").run(INPUTS)


def test_the_devices_own_words_are_told_and_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.om").write_bytes(b"om")
    monkeypatch.setattr(extras, "installed", lambda name: name == "acl")
    module = acl(Model(fails="run"))["acl"]
    monkeypatch.setitem(sys.modules, "acl", module)
    runner = OmRunner(tmp_path / "model.om", SIGNATURE)
    with pytest.raises(RunnerError, match="found 507011: E99999: the device's own words"):
        runner.run(INPUTS)
    del runner
    assert len(module.freed) == 5
    monkeypatch.setitem(sys.modules, "acl", acl(Model(fails="malloc"))["acl"])
    with pytest.raises(RunnerError, match="malloc"):
        OmRunner(tmp_path / "model.om", SIGNATURE)


def test_a_closed_model_gives_the_device_its_memory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.om").write_bytes(b"om")
    monkeypatch.setattr(extras, "installed", lambda name: name == "acl")
    module = acl(Model())["acl"]
    monkeypatch.setitem(sys.modules, "acl", module)
    runner = RUNNERS["ascend"].open(tmp_path / "model.om", RunnerContext(signature=SIGNATURE))
    check(runner.run(INPUTS), expected())
    for _ in range(2):
        runner.close()
        assert len(module.freed) == 5
    with pytest.raises(RunnerError, match="found a closed one"):
        runner.run(INPUTS)


def test_without_a_library_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunnerError, match="found none"):
        OmRunner(tmp_path / "model.om", SIGNATURE)
    (tmp_path / "model.om").write_bytes(b"om")
    monkeypatch.setattr(extras, "installed", lambda _name: False)
    with pytest.raises(RunnerError, match="source set_env"):
        OmRunner(tmp_path / "model.om", SIGNATURE)
