"""``lwmport checkpoint``: what a user types to make a language checkpoint and to take it elsewhere and back."""

import json
from pathlib import Path

from command_line import lwmport

SMALL = ("--config", "debug", "--set", "vocab_size=64", "--set", "num_hidden_layers=3")


def test_make_convert_and_inspect(tmp_path: Path) -> None:
    stream, folder, back = tmp_path / "it.stream", tmp_path / "hf", tmp_path / "back"
    made = lwmport(
        *("checkpoint", "make", "--component", "llama", *SMALL, "--dtype", "bfloat16", "--out", stream),
    )
    assert made.returncode == 0, made.stderr
    assert "12 tensors" in made.stdout
    assert "not trained" in made.stdout
    there = lwmport("checkpoint", "convert", stream, "--to", "hf", *SMALL, "--out", folder, "--shard-gb", "0.001")
    assert there.returncode == 0, there.stderr
    again = lwmport("checkpoint", "convert", folder, "--to", "msgpack_stream", "--stacked", "--out", back)
    assert again.returncode == 0, again.stderr
    assert back.read_bytes() == stream.read_bytes()
    found = json.loads(lwmport("inspect", folder, "--json").stdout)
    assert found["format"] == "hf"
    assert found["config"]["num_hidden_layers"] == 3
    assert {row["file"] for row in found["tensor_list"]} == {path.name for path in folder.glob("*.safetensors")}
    assert f"{found['tensor_list'][0]['file']}@" in lwmport("inspect", folder).stdout


def test_what_is_wrong_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    stream = tmp_path / "it.stream"
    lwmport("checkpoint", "make", "--component", "llama", *SMALL, "--out", stream)
    (tmp_path / "it.stream.lwmport.json").unlink()
    for words, code, message in (
        (("convert", stream, "--to", "hf", "--out", tmp_path / "x"), 2, "expected --config for it.stream"),
        (("convert", stream, "--to", "gguf", "--out", tmp_path / "x"), 2, "expected a checkpoint format out of"),
        (("convert", tmp_path / "no", "--to", "hf", "--out", tmp_path / "x"), 3, "no such file"),
        (("make", "--component", "llama", "--dtype", "int8", "--out", tmp_path / "x"), 2, "expected a dtype out of"),
    ):
        done = lwmport("checkpoint", *words)
        assert done.returncode == code, done.stderr
        line = done.stderr.splitlines()[-1]
        assert line.startswith("error: ")
        assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["it.stream"]


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    stream = tmp_path / "it.stream"
    lwmport("checkpoint", "make", "--component", "llama", *SMALL, "--out", stream)
    before = stream.read_bytes()
    done = lwmport("checkpoint", "convert", stream, "--to", "pickle", "--dtype", "float16", "--out", stream)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: expected a new place as --out, found {stream}")
    done = lwmport("checkpoint", "make", "--component", "llama", *SMALL, "--seed", "1", "--out", stream)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("remove it or choose another --out")
    beside = tmp_path / "it.stream.lwmport.json"
    done = lwmport("checkpoint", "convert", stream, "--to", "pickle", "--out", beside)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: expected a new place as --out, found {beside}")
    assert stream.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.stream", beside.name]
