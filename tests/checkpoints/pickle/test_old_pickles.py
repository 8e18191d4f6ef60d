"""Pickles as LWM's own stack writes them: tests/data/checkpoints_old/README.md says which is which."""

from pathlib import Path

import numpy as np
import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.types import Array, dtype_of

FOLDER = Path(__file__).parents[2] / "data" / "checkpoints_old"
PICKLES = sorted(FOLDER.glob("*.pkl"))


@pytest.fixture(params=PICKLES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_names_shapes_and_dtypes_are_known_without_reading(path: Path) -> None:
    specs = open_checkpoint(path).specs
    assert {name: (spec.shape, spec.dtype) for name, spec in specs.items()} == {
        name: (value.shape, value.dtype.name) for name, value in expected(path).items()
    }


def test_every_bit_is_read(path: Path) -> None:
    checkpoint = open_checkpoint(path)
    for name, value in expected(path).items():
        read = checkpoint.read(name)
        assert read.dtype == value.dtype
        np.testing.assert_array_equal(bits(read), bits(value), strict=True, err_msg=name)


def test_the_files_hold_what_only_the_old_stack_writes() -> None:
    contents = {path.stem: path.read_bytes() for path in PICKLES}
    assert b"numpy.core.numeric" in contents["numpy_protocol5"]
    assert all(b"numpy.core.multiarray" in contents[stem] for stem in contents if stem != "numpy_protocol5")
    assert b"jax._src.array" in contents["jax_frozendict_protocol5"]
    assert b"flax.core.frozen_dict" in contents["jax_frozendict_protocol5"]


def expected(path: Path) -> dict[str, Array]:
    """npz knows no bfloat16: it lies there as float32, which holds it exactly, and ``__dtypes__`` says so."""
    with np.load(path.with_suffix(".npz")) as arrays:
        dtypes = dict(line.split("=") for line in arrays["__dtypes__"].tolist())
        return {name: arrays[name].astype(dtype_of(dtype)) for name, dtype in dtypes.items()}


def bits(array: Array) -> Array:
    return np.ascontiguousarray(array).view(np.dtype(f"u{array.dtype.itemsize}"))
