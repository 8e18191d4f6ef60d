"""Names that could leave the folder, or mean another file on another system, are refused; ours are not."""

import pytest

from lwmport.errors import ArtifactError
from lwmport.handoff import names

GOOD = ("a", "models/vqgan-encoder.onnx.data", "golden/x/000/past_key_values.0.key.bin", "console.txt", "COM10", "a..b")
BAD = {
    "": "0 characters",
    "../x": "leads out",
    "a/../../x": "leads out",
    "/etc/passwd": "absolute",
    "C:/x": "drive",
    "c:x": "drive",
    "a\\b": "backslash",
    "..\\x": "backslash",
    "a//b": "empty part",
    "./a": "empty part",
    "a/": "folder",
    "a/./b": "empty part",
    "CON": "device",
    "a/nul.txt": "device",
    "lpt1": "device",
    "a/COM1.onnx": "device",
    "a.": "drops",
    "a /b": "drops",
    "a\0b": "characters",
    "a\nb": "characters",
    "ab:stream": "characters",
    "ü": "characters",
    "a*": "characters",
    "x" * 201: "201 characters",
}


@pytest.mark.parametrize("name", GOOD)
def test_good_names(name: str) -> None:
    names.check(name)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_bad_names(name: str) -> None:
    with pytest.raises(ArtifactError, match=BAD[name]):
        names.check(name)


@pytest.mark.parametrize(("both", "reason"), [(("a", "a"), "twice"), (("a", "A"), "beside"), (("a", "A/b"), "inside")])
def test_two_names_for_one_file(both: tuple[str, str], reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        names.check_all(both)
