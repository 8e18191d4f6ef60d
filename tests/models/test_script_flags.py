"""Values of scripts' flags: literals are read, everything else is one line, and nothing is executed."""

from typing import Any

import pytest

from lwmport.errors import UsageError
from lwmport.models.llama.script_flags import FLAGS, flag_of
from lwmport.models.script_flags import fields_of, settings

PASTED = (
    "dict(sample_mode='text',theta=50000000,max_sequence_length=131072,scan_attention=False,"
    "scan_query_chunk_size=128,scan_key_chunk_size=128,scan_mlp=False,scan_mlp_chunk_size=2048,scan_layers=True)"
)


def words(command: str, name: str, value: str) -> list[str]:
    flag = flag_of(command, name)
    assert flag is not None
    assert flag.words is not None
    return flag.words(value)


def test_what_lwms_own_script_says_becomes_settings() -> None:
    found = words("convert", "update_llama_config", PASTED)
    assert found[:4] == [
        '--set=sample_mode="text"', "--set=theta=50000000", "--set=max_sequence_length=131072",
        "--set=scan_attention=false",
    ]  # fmt: skip
    assert len(found) == 9
    assert words("port", "update_llama_config", "") == []


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{'a': 1, 'b': -2.5}", {"a": 1, "b": -2.5}),
        ("dict()", {}),
        (" dict(a=None, b='x', c=(1, 2))", {"a": None, "b": "x", "c": (1, 2)}),
    ],
)
def test_literals_are_read(text: str, fields: dict[str, Any]) -> None:
    assert fields_of(text) == fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dict(a=open('f', 'w').close())", r"\"open\('f', 'w'\).close\(\)\" is no such value"),
        ("dict(a=b)", "'b' is no such value"),
        ("dict(a={1, 2})", "is no such value"),
        ("dict(a=1e999)", "is no such value"),
        ("dict(**{'a': 1})", "a field without a name"),
        ("{**{'a': 1}}", "is no such value"),
        ("{1: 2}", "a field without a name"),
        ("dict([('a', 1)])", "another expression"),
        ("eval(a=1)", "another expression"),
        ("dict(a=1", "no Python"),
        ("(" * 300, "no Python"),
        ("dict(a=" + "-" * 60_000 + "1)", "nested too deeply|no Python|no such value"),
        ("dict(a='" + "x" * 70_000 + "')", "no Python"),
        ("", "no Python"),
        ("\0", "found"),
    ],
)  # fmt: skip
def test_anything_else_is_one_line(text: str, said: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        fields_of(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())


def test_configurations_and_fields() -> None:
    assert words("convert", "load_llama_config", "7b") == ["--config=7b"]
    assert words("convert", "load_llama_config", "json::my/config.json") == ["--config=my/config.json"]
    with pytest.raises(UsageError, match="a pickle can run code and is not read"):
        words("convert", "load_llama_config", "pickle::f")
    assert words("convert", "llama.theta", "5e7") == ["--set=theta=50000000.0"]
    assert words("convert", "llama.scan_layers", "true") == ["--set=scan_layers=true"]
    assert words("convert", "llama.sample_mode", "vision") == settings({"sample_mode": "vision"})


def test_every_flag_is_an_option_or_says_why_not() -> None:
    for command, flags in FLAGS.items():
        for name, flag in flags.items():
            assert (flag.words is None) == bool(flag.remark), (command, name)
    assert flag_of("generate", "mesh_dim") is None
    assert flag_of("convert", "nothing") is None
    assert flag_of("convert", "jax_distributed.initialize_jax_distributed") is not None
