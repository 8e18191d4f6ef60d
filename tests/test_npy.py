"""Arrays out of bytes that nobody vouches for."""

import io
from typing import Any

import numpy as np
import pytest

from lwmport import npy
from lwmport.errors import ArtifactError


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.ones((), bool)], ids=str
)
def test_an_array_comes_back(array: Any) -> None:
    found = npy.read(saved(array), "x")
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)
    assert found.shape == array.shape


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damage"),
        (b"\x93NUMPY", "damage"),
        (saved(np.array(["a"])), "expected numbers"),
        (saved(np.zeros(3))[:-1], "found 23 bytes"),
        (saved(np.zeros(3)) + b"1", "found 25 bytes"),
        (saved(np.zeros(3)).replace(b"(3,), }", b"(3,    "), "damage"),
        (saved(np.zeros(3)).replace(b"(3,), }     ", b"(1<<60,), } "), "damage"),
        (saved(np.zeros(3)).replace(b"(3,), }        ", b"(3000000000,), }"[:15]), "x"),
        (b"\x93NUMPY\x03\x00" + saved(np.zeros(3))[8:], "version 1 or 2"),
    ],
)
def test_what_is_no_array_costs_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason) as caught:
        npy.read(content, "x")
    assert "\n" not in str(caught.value)
