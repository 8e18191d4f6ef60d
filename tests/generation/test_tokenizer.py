"""Texts and tokens by a folder of Hugging Face's kind: special tokens, parts of characters, bad folders."""

from pathlib import Path

import pytest
from small_tokenizer import write_tokenizer

from lwmport.errors import UsageError
from lwmport.generation.tokenizer import Tokenizer

pytest.importorskip("tokenizers", reason="tokenizers is not installed")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def test_every_text_begins_with_the_first_token_and_a_written_one_is_another(tokenizer: Tokenizer) -> None:
    body = tokenizer.encode("ab", begins=False)
    assert len(body) == 2
    assert tokenizer.encode("ab") == [1, *body]
    assert tokenizer.encode("<s>ab") == [1, 1, *body]
    assert (tokenizer.begin, tokenizer.end, tokenizer.size, tokenizer.longest) == (1, 2, 259, len("<unk>"))


def test_padding_says_where_it_comes_from(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert (tokenizer.pad, tokenizer.pad_source) == (0, "no pad_token: another special token stands for it")
    named = Tokenizer(write_tokenizer(tmp_path, {"pad_token": "</s>"}))
    assert (named.pad, named.pad_source, named.end) == (2, "its pad_token", None)
    assert named.encode("a") == named.encode("a", begins=False)


def test_a_part_of_a_character_waits_for_the_rest(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a é 日", begins=False)
    found = list(tokenizer.pieces(iter(ids)))
    assert "".join(found) == tokenizer.decode(ids) == "a é 日"
    assert found == ["a", " ", "é", " ", "日"]
    assert "".join(tokenizer.pieces(iter(ids[:-1]))) == tokenizer.decode(ids[:-1])


def test_special_tokens_are_not_part_of_a_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([1, *tokenizer.encode("hi", begins=False), 2]) == "hi"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", None, r"expected tokenizer.json or tokenizer.model in .*, found none"),
        ("tokenizer.json", "{}", "expected a tokenizer in"),
        ("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid", "found: a Git LFS pointer instead"),
        ("tokenizer_config.json", "<!DOCTYPE html>", "found: a web page instead"),
        ("tokenizer_config.json", "{", "expected JSON in"),
        ("tokenizer_config.json", "[]", "expected an object in .*, found list"),
        ("tokenizer_config.json", '{"eos_token": "<none>"}', "expected the eos_token '<none>'"),
    ],
)
def test_a_bad_folder_is_one_line(name: str, content: str | None, said: str, tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(UsageError, match=said) as caught:
        Tokenizer(folder)
    assert "\n" not in str(caught.value)
