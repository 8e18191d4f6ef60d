import io
import json
from typing import Any

import numpy as np
import pytest

from lwmport import parcel
from lwmport.errors import ArtifactError

ARRAY = {"$": "array", "shape": [2], "dtype": "float32", "at": 0}
LIES: dict[str, Any] = {
    "a shape without end": {**ARRAY, "shape": [1 << 40]},
    "negative sizes": {**ARRAY, "shape": [-1, -2]},
    "a place behind the file": {**ARRAY, "at": 1},
    "a place before the file": {**ARRAY, "at": -1000},
    "objects": {**ARRAY, "dtype": "object"},
    "no dtype": {**ARRAY, "dtype": "nothing"},
    "a kind that there is not": {"$": "run", "of": "rm"},
    "no kind": {"of": 1},
    "texts of another shape": {"$": "texts", "shape": [3], "of": ["a"]},
}


def sent(value: Any, behind: bytes = bytes(8)) -> io.BytesIO:
    content = json.dumps(value).encode()
    return io.BytesIO(len(content).to_bytes(8, "little") + content + behind)


def test_an_array_that_is_sent_arrives() -> None:
    np.testing.assert_array_equal(parcel.read(sent(ARRAY)), np.zeros(2, np.float32))


@pytest.mark.parametrize("name", LIES)
def test_no_number_of_the_sender_is_trusted(name: str) -> None:
    with pytest.raises(ArtifactError, match="expected a value between two processes"):
        parcel.read(sent(LIES[name]))


@pytest.mark.parametrize("content", [b"", b"short", (1 << 62).to_bytes(8, "little"), sent([[]] * 3).getvalue()[:-13]])
def test_what_is_cut_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="expected a value between two processes"):
        parcel.read(io.BytesIO(content))
