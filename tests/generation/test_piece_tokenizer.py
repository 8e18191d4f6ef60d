"""Pieces of sentencepiece become the tokenizer that sentencepiece is; the tokens here are its own (0.2.3)."""

import struct
from pathlib import Path

import pytest

from lwmport.errors import UsageError
from lwmport.generation.piece_tokenizer import as_folder, open_tokenizer

pytest.importorskip("tokenizers", reason="tokenizers is not installed")

NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
WORDS = ["ab", "bc", "\u2581ab", "abc", "\u2581", "a", "b", "c"]
"""In the order of their scores: of ``abc`` the first two merge first, though ``bc`` is a piece too."""

PIECES = [
    ("<unk>", 0.0, UNKNOWN),
    ("<s>", 0.0, CONTROL),
    ("</s>", 0.0, CONTROL),
    ("<vision>", 0.0, USER),
    *((f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)),
    *((word, -float(place), NORMAL) for place, word in enumerate(WORDS)),
]
FIRST = 260


def model(folder: Path) -> Path:
    """Write a ``tokenizer.model``, as sentencepiece_model.proto lays it out."""
    data = b""
    for text, score, kind in PIECES:
        word = text.encode()
        piece = b"\x0a" + bytes([len(word)]) + word + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind])
        data += b"\x0a" + bytes([len(piece)]) + piece
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(data)
    return folder


def test_pieces_merge_by_their_scores_and_unknown_characters_are_bytes(tmp_path: Path) -> None:
    found = open_tokenizer(model(tmp_path / "m"))
    assert found.encode("abc", begins=False) == [FIRST + 2, FIRST + 7]
    assert found.encode("bc ab", begins=False) == [FIRST + 4, FIRST + 1, FIRST + 2]
    assert found.encode("\u00e9") == [1, FIRST + 4, 4 + 0xC3, 4 + 0xA9]
    assert found.encode("<s><vision>", begins=False) == [1, 3]
    assert found.decode([1, FIRST + 2, FIRST + 7, 4 + 0xC3, 4 + 0xA9]) == "abc\u00e9"
    assert (found.begin, found.end, found.pad, found.size) == (1, 2, 0, len(PIECES))


def test_settings_of_the_makers_come_before_the_pieces(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "tokenizer_config.json").write_text(
        '{"bos_token": "<s>", "eos_token": "<vision>", "add_bos_token": false}'
    )
    found = open_tokenizer(folder)
    assert (found.encode("c"), found.end) == ([FIRST + 4, FIRST + 7], 3)
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<none>"}')
    with pytest.raises(UsageError, match="expected the eos_token '<none>'"):
        open_tokenizer(folder)


def test_a_gguf_file_holds_the_same_with_codes_behind_it(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    codes = [("<v0>", 0.0, USER), ("<v1>", 0.0, USER)]
    texts, scores, kinds = zip(*PIECES, *codes, strict=True)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(texts))
    writer.add_token_scores(list(scores))
    writer.add_token_types(list(kinds))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = open_tokenizer(tmp_path / "m.gguf")
    assert (found.encode("abc"), found.end, found.size) == ([1, FIRST + 2, FIRST + 7], 2, len(PIECES))


def test_what_is_no_tokenizer_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"no pieces")
    with pytest.raises(UsageError, match=r"expected a tokenizer at .*tokenizer\.model"):
        open_tokenizer(tmp_path)
    with pytest.raises(UsageError, match=r"expected tokenizer.json or tokenizer.model in .*, found none"):
        open_tokenizer(tmp_path / "nothing")
    assert as_folder(tmp_path / "nothing", tmp_path) == tmp_path / "nothing"
