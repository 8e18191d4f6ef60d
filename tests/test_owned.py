"""Only what a record of ours lists, as it was left, is ours."""

import json
from pathlib import Path

import pytest

from lwmport import digest, owned
from lwmport.errors import UsageError


def record(folder: Path, *names: str) -> owned.Earlier:
    files = {name: digest.of_file(folder / name) for name in names}
    (folder / "r.json").write_text(json.dumps({"format": "f", "files": files}))
    return owned.Earlier(owned.listed(Path("r.json"), "f"))


def test_what_was_changed_since_is_the_users(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    earlier = record(tmp_path, "a", "b")
    (tmp_path / "b").write_text("mine")
    assert set(earlier(tmp_path)) == {"a", "r.json"}
    (tmp_path / "a").write_text("mine now")
    assert set(earlier(tmp_path)) == {"r.json"}


RECORDS = {
    "no JSON": "{",
    "another format": '{"format": "g", "files": {"a": ""}}',
    "no object": "[]",
    "files that are none": '{"format": "f", "files": ["a"]}',
    "digests that are none": '{"format": "f", "files": {"a": 1}}',
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", RECORDS.values(), ids=list(RECORDS))
def test_what_is_no_record_of_ours_owns_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "r.json").write_text(text)
    assert owned.Earlier(owned.listed(Path("r.json"), "f"))(tmp_path) == set()


def test_a_record_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="found a link"):
        owned.Earlier(owned.listed(Path("r.json"), "f"))(tmp_path)


def test_a_file_behind_a_link_is_not_ours(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    (elsewhere / "a").write_text("a")
    (out / "sub").symlink_to(elsewhere)
    assert set(record(out, "sub/a")(out)) == {"r.json"}
