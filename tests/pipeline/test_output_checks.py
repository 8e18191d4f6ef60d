"""What a command reads is never what it writes, by whatever path or link."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lwmport.errors import UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.convert import Conversion, convert
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.output_checks import check_apart, check_new

SETTINGS = ("vocab_size=64", "num_hidden_layers=1")
CONFIG = "debug"


def _linked(file: Path) -> Path:
    (file.parent / "link").symlink_to(file)
    return file.parent / "link"


def _hard_linked(file: Path) -> Path:
    os.link(file, file.parent / "link")
    return file.parent / "link"


def _spelled(file: Path) -> Path:
    return file.parent / "." / ".." / file.parent.name / file.name


def _by_folder(file: Path) -> Path:
    (file.parent / "folder").symlink_to(file.parent, target_is_directory=True)
    return file.parent / "folder" / file.name


WAYS: dict[str, Callable[[Path], Path]] = {
    "the same": lambda file: file,
    "another spelling": _spelled,
    "a link": _linked,
    "a hard link": _hard_linked,
    "a linked folder": _by_folder,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_is_not_converted_onto_itself(way: str, tmp_path: Path) -> None:
    file = tmp_path / "keep.stream"
    make(Recipe(component="llama", config=CONFIG, settings=SETTINGS), file)
    before, out = file.read_bytes(), WAYS[way](file)
    which = "one of the files" if out == file else str(file)
    names = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UsageError, match=f"a new place as --out, found {out}, which is {which}; name another"):
        convert(f"params::{file}", out, Conversion(form="pickle", dtype="float16"))
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_no_file_of_a_folder_is_converted_onto(tmp_path: Path) -> None:
    file, folder = tmp_path / "it.stream", tmp_path / "hf"
    make(Recipe(component="llama", config=CONFIG, settings=SETTINGS), file)
    convert(str(file), folder, Conversion(form="hf", config=CONFIG, settings=SETTINGS, shard_bytes=1 << 18))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert any(name.endswith("index.json") for name in before)
    for name in before:
        with pytest.raises(UsageError, match="expected a new place as --out"):
            convert(str(folder), folder / name, Conversion(form="msgpack_stream"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    convert(str(folder), folder / "new.stream", Conversion(form="msgpack_stream"))
    assert (folder / "new.stream").exists()


def test_a_configuration_is_not_converted_onto(tmp_path: Path) -> None:
    file, config = tmp_path / "it.stream", tmp_path / "config.json"
    make(Recipe(component="llama", config=CONFIG, settings=SETTINGS), file)
    fields = resolve("llama", CONFIG, Options(settings=SETTINGS)).config
    config.write_text("{" + ", ".join(f'"{key}": {fields[key]}' for key in ("vocab_size", "num_hidden_layers")) + "}")
    before = config.read_bytes()
    with pytest.raises(UsageError, match=r"found .*config\.json, which is one of the files; name"):
        convert(str(file), config, Conversion(form="safetensors", config=str(config)))
    assert config.read_bytes() == before


def test_seeded_weights_take_the_place_of_nothing(tmp_path: Path) -> None:
    file = tmp_path / "real.pkl"
    file.write_bytes(b"real")
    with pytest.raises(UsageError, match=r"found a file; remove it or choose another --out"):
        make(Recipe(component="llama", config=CONFIG), file)
    assert file.read_bytes() == b"real"
    check_new(tmp_path / "new")


def test_what_is_not_read_may_be_written(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"1")
    check_apart(tmp_path / "a", tmp_path / "b", tmp_path / "none")
    check_apart(tmp_path / "none", tmp_path)
