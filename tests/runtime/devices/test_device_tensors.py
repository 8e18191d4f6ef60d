"""Names, orders and dtypes of a compiled model against the signature that it was compiled from."""

import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.runtime.devices.tensors import DeviceTensor, assign, from_port, sizes_of, to_port
from lwmport.types import TensorSpec


def spec(name: str, shape: tuple[int | str, ...], dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype=dtype)


def port(name: str, shape: tuple[int, ...], dtype: str = "float32", nbytes: int = 0) -> DeviceTensor:
    return DeviceTensor(name=name, shape=shape, dtype=dtype, nbytes=nbytes)


CODES, STATES = spec("codes", (1, 4), "int32"), spec("states", (1, 4, 8))
WITH_NAMES = {
    "plain": ("codes", "states"),
    "of onnx": ("ArgMin_7:0:codes", "Transpose_9:0:states"),
    "of tensorflow": ("codes:0", "states:0"),
}


@pytest.mark.parametrize("name", WITH_NAMES)
@pytest.mark.parametrize("turned", [False, True])
def test_names_give_the_order(name: str, turned: bool) -> None:  # noqa: FBT001 - a parameter
    ports = [port(WITH_NAMES[name][0], (1, 4), "int32"), port(WITH_NAMES[name][1], (1, 4, 8))]
    assert assign((CODES, STATES), ports[::-1] if turned else ports, "outputs") == ((1, 0) if turned else (0, 1))


def test_without_names_the_shapes_give_it() -> None:
    ports = [port("out_1", (1, 4, 8)), port("out_0", (1, 4), "int64")]
    assert assign((CODES, STATES), ports, "outputs") == (1, 0)


def test_outputs_that_look_alike_keep_the_order_of_the_file() -> None:
    twins = (spec("a", (2, 3)), spec("b", (2, 3)))
    assert assign(twins, [port("x", (2, 3)), port("y", (2, 3))], "outputs") == (0, 1)


def test_names_win_over_the_order_of_the_file() -> None:
    twins = (spec("a", (2, 3)), spec("b", (2, 3)))
    assert assign(twins, [port("n:0:b", (2, 3)), port("m:0:a", (2, 3))], "outputs") == (1, 0)


WRONG = {
    "too few": ([port("codes", (1, 4), "int32")], "expected 2 outputs"),
    "one name only": ([port("codes", (1, 4), "int32"), port("other", (1, 4, 8))], "some names only"),
    "another model's shape": ([port("codes", (1, 4), "int32"), port("states", (1, 4, 9))], "another model"),
    "no order fits": ([port("x", (1, 5), "int32"), port("y", (1, 4, 8))], "0 orders fit"),
    "floats for integers": ([port("x", (1, 4)), port("y", (1, 4, 8))], "0 orders fit"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_this_model_is_refused(name: str) -> None:
    ports, message = WRONG[name]
    with pytest.raises(RunnerError, match=message):
        assign((CODES, STATES), ports, "outputs")


def test_several_orders_are_none() -> None:
    specs = (spec("a", (1, 2)), spec("b", (1, 3)), spec("c", (1, 3)))
    ports = [port("x", (1, 3)), port("y", (1, 3)), port("z", (1, 2))]
    with pytest.raises(RunnerError, match="2 orders fit"):
        assign(specs, ports, "outputs")


def test_inputs_are_cast_where_nothing_is_lost() -> None:
    halves = to_port(np.array([[1.5, -2]], np.float32), port("x", (1, 2), "float16"))
    assert (halves.dtype, halves.tolist()) == (np.float16, [[1.5, -2]])
    small = to_port(np.array([7], np.int64), port("x", (1,), "int32"))
    assert (small.dtype, small.tolist()) == (np.int32, [7])
    turned = to_port(np.arange(6, dtype=np.float32).reshape(2, 3).T, port("x", (3, 2)))
    assert turned.flags["C_CONTIGUOUS"]
    assert to_port(np.float32(3) * np.ones((), np.float32), port("x", ())).shape == ()


LOSSES = {
    "beyond float16": (np.array([1e6], np.float32), "float16", 0, "beyond its range"),
    "beyond int32": (np.array([2**40]), "int32", 0, "found 1099511627776"),
    "bytes": (np.zeros(1, np.float32), "uint8", 0, "pictures as bytes"),
    "integers for floats": (np.zeros(1, np.int32), "float32", 0, "found int32"),
    "too large": (np.zeros(8, np.float32), "float32", 16, "at most 16 bytes, found 32"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_inputs_that_would_lose_something_are_refused(name: str) -> None:
    array, dtype, nbytes, message = LOSSES[name]
    with pytest.raises(RunnerError, match=message):
        to_port(array, port("x", array.shape, dtype, nbytes))


def test_infinities_that_were_there_stay() -> None:
    found = to_port(np.array([-np.inf, 1], np.float32), port("mask", (2,), "float16"))
    assert found.tolist() == [-np.inf, 1]


def test_outputs_come_in_the_promised_dtype_and_own_memory() -> None:
    buffer = np.array([[1, 2, 3, 4]], np.float16)
    found = from_port(buffer, spec("y", (1, 4)), {})
    buffer[:] = 9
    assert (found.dtype, found.tolist()) == (np.float32, [[1, 2, 3, 4]])
    assert from_port(np.array([[5]], np.int32), spec("y", (1, 1), "int64"), {}).dtype == np.int64
    assert np.isnan(from_port(np.array([np.nan], np.float16), spec("y", (1,)), {})).all()


BAD_OUTPUTS = {
    "rank": (np.zeros(4, np.float32), spec("y", (1, 4))),
    "size": (np.zeros((1, 5), np.float32), spec("y", (1, 4))),
    "gear": (np.zeros((2, 4), np.float32), spec("y", ("batch", 4))),
    "floats for integers": (np.zeros((1, 4), np.float32), spec("y", (1, 4), "int32")),
    "integers too large": (np.full((1, 4), 2**33), spec("y", (1, 4), "int32")),
}


@pytest.mark.parametrize("name", BAD_OUTPUTS)
def test_outputs_that_are_not_the_promised_ones_are_refused(name: str) -> None:
    array, wanted = BAD_OUTPUTS[name]
    with pytest.raises(RunnerError, match="expected"):
        from_port(array, wanted, {"batch": 3})


def test_named_sizes_must_agree() -> None:
    specs = (spec("a", ("batch", 2)), spec("b", ("batch",)))
    assert sizes_of(specs, {"a": np.zeros((3, 2)), "b": np.zeros(3)}) == {"batch": 3}
    with pytest.raises(RunnerError, match="found 3 and 4"):
        sizes_of(specs, {"a": np.zeros((3, 2)), "b": np.zeros(4)})
