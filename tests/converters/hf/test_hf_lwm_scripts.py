"""The plain-LLaMA folder in transformers' own loop: the tokens that LWM's own scripts gave.

tests/data/lwm_scripts/README.md says how those were made.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport.models.options import Options
from lwmport.types import Array

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

CASES = Path(__file__).parents[2] / "data" / "lwm_scripts"
END, COUNT = 2, 24


def load(name: str) -> dict[str, Array]:
    with np.load(CASES / f"{name}.npz") as arrays:
        return dict(arrays)


CHAT, MADE = load("chat"), load("generation")
CONFIG = json.loads(str(CHAT["config"]))
WORDS = CONFIG["vocab_size"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    out = tmp_path_factory.mktemp("hf") / "out"
    lwmport.convert(
        component="vision-llama", format="hf", config=CONFIG, seed=int(CHAT["seed"]), out=out, validate=False,
        options=Options(sample_mode="all"),
    )  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for so small a model others would only wait for each other
    yield transformers.LlamaForCausalLM.from_pretrained(out / "vision-llama.hf", dtype="auto")
    torch.set_num_threads(threads)


class Guided:
    """Moves the rows with a prompt away from those without, and leaves codes alone."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, _: Any, scores: Any) -> Any:
        first, second = scores.chunk(2)
        moved = second + self.scale * (first - second)
        moved[:, :WORDS] = -torch.inf
        return torch.cat([moved, moved])


def generated(model: Any, arrays: dict[str, Array], prefix: str, **how: Any) -> Array:
    ids = np.where(arrays[f"{prefix}_vision_masks"], WORDS, 0) + arrays[f"{prefix}_input_ids"]
    mask = torch.from_numpy(arrays[f"{prefix}_attention_mask"])
    found = model.generate(
        torch.from_numpy(ids), attention_mask=mask, max_new_tokens=COUNT, do_sample=False, pad_token_id=0, **how
    )
    return np.asarray(found[:, ids.shape[1] :])


@pytest.mark.parametrize("name", ["picture", "video"])
def test_words_behind_a_padded_prompt_are_lwms(name: str, model: Any) -> None:
    found = generated(model, CHAT, name, eos_token_id=END)
    np.testing.assert_array_equal(found, CHAT[f"{name}_tokens"][:, : found.shape[1]])
    assert found.shape[1] == COUNT or found[0, -1] == END


def test_guided_codes_are_lwms(model: Any) -> None:
    guided = transformers.LogitsProcessorList([Guided(5.0)])
    found = generated(model, MADE, "greedy_image", eos_token_id=-1, suppress_tokens=None, logits_processor=guided)
    np.testing.assert_array_equal(found - WORDS, MADE["greedy_image_tokens"][:, :COUNT])
