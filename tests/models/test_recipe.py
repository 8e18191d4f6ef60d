"""A recipe: patterns of names, and how each weight is rounded; what no weight can have is refused in one line."""

from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import UnusedOptionError, UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.storage import schemes_of

RECIPE = """
["transformer/h/*/feed_forward/w2/kernel"]
kind = "w8a16"
group_size = 16
method = "mse"

["transformer/h/0/attention/*"]
symmetric = false

["transformer/h/*"]
keep = "float32"

["lm_head/kernel"]
keep = "float16"
"""


def made(text: str, folder: Path, **more: Any) -> Options:
    (folder / "r.toml").write_text(text, encoding="utf-8")
    return Options(**{"quantize": "w4a16", "recipe": (str(folder / "r.toml"),), **more})


def test_the_first_pattern_that_fits_decides(tmp_path: Path) -> None:
    options = made(RECIPE, tmp_path)
    (component,) = resolve("llama", "debug", options).components
    found = schemes_of(component, options)
    told = {name: (one.name, one.group, one.symmetric, one.method) for name, one in found.items() if "/h/0/" in name}
    assert told.pop("transformer/h/0/feed_forward/w2/kernel") == ("w8a16", 16, True, "mse")
    assert set(told.values()) == {("w4a16", 32, False, "rtn")}
    assert {name.rpartition("/h/0/")[2] for name in told} == {f"attention/w{part}/kernel" for part in "kqvo"}
    assert found["lm_head/kernel"].name == "float16"
    assert Options.from_json(options.to_json()) == options


REFUSED = {
    "[a]\nkin = 1": "a: expected a table of kind, group_size, symmetric, method, keep, found kin",
    "a = 3": "a: expected a table of kind, group_size, symmetric, method, keep, found 3",
    '[a]\nkind = "w3"': "a: expected one of w8a16, w4a16, w8a8, w4a8 as kind, found 'w3'",
    '[a]\ngroup_size = "x"': "a: expected a value of type int as group_size, found 'x'",
    "[a]\ngroup_size = 48": "a: expected --group-size out of 16, 32, 64, 128, 256, found 48",
    '[a]\nkeep = "float32"\nmethod = "rtn"': "a: expected keep alone, found keep, method",
    '[a]\nkind = "w8a8"': "kinds in --recipe that round what is multiplied as --quantize w4a16 does, found w8a8",
    "[a": "expected a recipe in TOML at .*r.toml, found: ",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_no_weight_can_have_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=REFUSED[text]):
        made(text, tmp_path)


def test_a_recipe_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusedOptionError, match=r"expected --recipe .* beside --quantize out of"):
        made(RECIPE, tmp_path, quantize="")
    with pytest.raises(UnusedOptionError, match=r"in --recipe, such as .*, found nothing/\*, which fits none of llama"):
        resolve("llama", "debug", made('["nothing/*"]\nkeep = "float32"', tmp_path))
