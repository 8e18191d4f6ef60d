"""The sizes that ``check`` is given for the inputs, in ATC's form."""

import pytest

from lwmport.errors import UsageError
from lwmport.pipeline.check import read_shapes

READ: dict[str | None, dict[str, tuple[int, ...]] | None] = {
    None: None,
    "": None,
    "x:1,3,32,32": {"x": (1, 3, 32, 32)},
    "x:0:1,3; y :2": {"x:0": (1, 3), "y": (2,)},
    "scalar:;x:1": {"scalar": (), "x": (1,)},
}


@pytest.mark.parametrize("text", READ)
def test_shapes_are_read(text: str | None) -> None:
    assert read_shapes(text) == READ[text]


BAD = {
    "x:1,3,32,32;x:2,3,32,32": "expected each input once in --input-shape, found x twice in 'x:1,3,32,32;x:2,3,32,32'",
    "x:1;x:1": "found x twice",
    "x:1; x :2": "found x twice",
    "x=1,2": "expected --input-shape as",
    "x:0": "expected --input-shape as",
    ":1": "expected --input-shape as",
    "x:1;": "expected --input-shape as",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_shape_of_each_input_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=BAD[text]):
        read_shapes(text)
