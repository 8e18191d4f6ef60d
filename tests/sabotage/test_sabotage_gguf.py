"""A GGUF file that is wrong in one block fails, and so does one with channels in another order."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lwmport import manifest
from lwmport.checkpoints.gguf import GgufTensor, read_header
from lwmport.checkpoints.model_weights import component_weights, fitting
from lwmport.ggml_kinds import KINDS
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.types import Status

pytest.importorskip("gguf.quants")

CONFIG = {
    "vocab_size": 64, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 128, "scan_layers": False,
}  # fmt: skip
QUANTIZE = "q4_k_m"
VALUES = "blk.0.attn_q.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gguf")
    options = Options(quantize=QUANTIZE)
    given = {"config": CONFIG, "options": options, "tokenizer": "none", "validate": False}
    convert(ConvertRequest(component="llama", format="gguf", out=out, **given))
    return out


@pytest.fixture(scope="module")
def evidence() -> ReferenceRun:
    family = resolve("llama", CONFIG, Options(quantize=QUANTIZE))
    (component,) = family.references
    whole = gather(component, component_weights(family, component, fitting(family, None, 0)), 1)
    return replace(whole, others=())


def verdict(folder: Path, path: Path, evidence: ReferenceRun) -> Status:
    (part,) = manifest.read(folder).components
    return judge(path, part.signature, evidence).validation.status


def test_the_file_passes_untouched(folder: Path, evidence: ReferenceRun) -> None:
    assert verdict(folder, folder / "llama.gguf", evidence) is Status.PASSED


def swapped_nibbles(block: bytearray) -> None:
    block[16:] = bytes((byte >> 4) | (byte & 15) << 4 for byte in block[16:])


def one_level_up(block: bytearray) -> None:
    block[16:] = bytes(min((byte & 15) + 1, 15) | byte & 0xF0 for byte in block[16:])


def neighbours_scale(block: bytearray) -> None:
    """Give the second group the scale of the first: six bits each, in a byte of their own."""
    block[5] = block[4] ^ 21


def another_zero(block: bytearray) -> None:
    block[8:12] = bytes(byte ^ 7 for byte in block[8:12])


SABOTAGE = {found.__name__: found for found in (swapped_nibbles, one_level_up, neighbours_scale, another_zero)}


@pytest.mark.parametrize("spoil", SABOTAGE.values(), ids=SABOTAGE)
def test_wrong_blocks_fail(
    spoil: Callable[[bytearray], None], folder: Path, evidence: ReferenceRun, tmp_path: Path
) -> None:
    data = bytearray((folder / "llama.gguf").read_bytes())
    header = read_header(folder / "llama.gguf")
    kind = KINDS["Q4_K"]
    begin, count = place(header, VALUES)
    assert count == 256
    for number in range(0, count, 4):
        at = begin + number * kind.nbytes
        block = data[at : at + kind.nbytes]
        spoil(block)
        data[at : at + kind.nbytes] = block
    assert verdict(folder, written(data, tmp_path), evidence) is Status.FAILED


def test_rows_in_the_order_of_halves_fail(folder: Path, evidence: ReferenceRun, tmp_path: Path) -> None:
    """Hugging Face's order of the channels of a head, which llama.cpp's converter turns round."""
    data = bytearray((folder / "llama.gguf").read_bytes())
    kind = KINDS["Q4_K"]
    begin, count = place(read_header(folder / "llama.gguf"), VALUES)
    rows = [bytes(data[begin + row * kind.nbytes : begin + (row + 1) * kind.nbytes]) for row in range(count)]
    size = count // CONFIG["num_attention_heads"]
    heads = [rows[first : first + size] for first in range(0, count, size)]
    data[begin : begin + count * kind.nbytes] = b"".join(b"".join(head[0::2] + head[1::2]) for head in heads)
    assert verdict(folder, written(data, tmp_path), evidence) is Status.FAILED


def place(header: Any, name: str) -> tuple[int, int]:
    """Return where the blocks of a tensor begin, and how many there are, one a row."""
    info: GgufTensor = next(info for info in header.infos if info.name == name)
    assert (info.kind, info.shape[-1]) == ("Q4_K", 256)
    return header.data + info.offset, info.shape[0]


def written(data: bytes, folder: Path) -> Path:
    path = folder / "llama.gguf"
    path.write_bytes(data)
    return path
