"""What a session feeds to which phase, and what it refuses, told by signatures alone: no model runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lwmport.errors import ArtifactError, PortError, RunnerError, UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.runtime.session.token_session import TokenSession
from lwmport.types import Array, Signature, Update

CONFIG = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 4,
    "max_sequence_length": 12,
}  # fmt: skip
VISION = {**CONFIG, "vision_vocab_size": 24}


class Recorder:
    """A backend that notes what it is given, and gives each token's id as its outputs."""

    name = "recorder"
    closed = False

    def __init__(self, parts: Mapping[str, tuple[str, Signature]]) -> None:
        self._parts = parts
        self.runs: list[tuple[str, dict[str, Array]]] = []

    def hold(self, arrays: Mapping[str, Array]) -> Any:
        return dict(arrays)

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], Any]:
        _, signature = self._parts[phase]
        assert {spec.name for spec in signature.inputs} - set(inputs) <= signature.caches
        self.runs.append((phase, dict(inputs)))
        results = [spec.name for spec in signature.outputs if spec.name not in signature.caches]
        return {name: inputs["input_ids"][..., None].astype(np.float32) for name in results}, held or {}

    def copy(self, held: Any) -> Any:
        return held

    def cut(self, held: Any, tokens: int) -> Any:  # noqa: ARG002 - nothing is held
        return held

    def close(self) -> None:
        self.closed = True


def opened(name: str, config: Any = None, **options: Any) -> tuple[TokenSession, Recorder]:
    components = resolve(name, config or (VISION if "vision" in name else CONFIG), Options(**options)).components
    parts = {phase: (one.name, one.signature) for one in components for phase in one.phases}
    backend = Recorder(parts)
    return TokenSession(backend, parts), backend


def ids(count: int, batch: int = 1) -> Array:
    return np.arange(1, count + 1)[None].repeat(batch, axis=0)


def test_a_prompt_longer_than_a_static_prefill_goes_on_in_the_decode() -> None:
    session, backend = opened("llama", static=True, sequence=4, max_length=8)
    found = session.prefill(ids(6), keep=3)
    assert found["logits"][0, :, 0].tolist() == [4, 5, 6]
    assert [phase for phase, _ in backend.runs] == ["prefill", "decode", "decode"]
    _, last = backend.runs[-1]
    assert {name: value.tolist() for name, value in last.items()} == {
        "input_ids": [[6]],
        "attention_mask": [[1, 1, 1, 1, 1, 1, 0, 0]],
        "position_ids": [[5]],
        "cache_position": [5],
    }


def test_a_static_prefill_that_is_not_filled_is_filled_up_behind_the_tokens() -> None:
    session, backend = opened("llama", static=True, sequence=4, max_length=8)
    found = session.prefill([[0, 7]], [[0, 1]], keep=None)
    assert found["logits"].shape == (1, 2, 1)
    session.step([[9]])
    (_, first), (_, second) = backend.runs
    assert first["attention_mask"].tolist() == [[0, 1, 0, 0]]
    assert first["input_ids"].tolist() == [[0, 7, 0, 0]]
    assert (second["cache_position"].tolist(), second["position_ids"].tolist()) == ([2], [[1]])
    assert second["attention_mask"].tolist() == [[0, 1, 1, 0, 0, 0, 0, 0]]


def test_a_decode_alone_takes_the_prompt_token_by_token() -> None:
    session, backend = opened("llama-decode", max_length=8)
    session.prefill(ids(3))
    assert [phase for phase, _ in backend.runs] == ["decode"] * 3


def test_a_growing_cache_of_a_fixed_number_of_tokens_has_its_padding_in_front() -> None:
    session, backend = opened("llama", sequence=4)
    found = session.prefill(ids(6), keep=None)
    assert found["logits"][0, :, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert [given["input_ids"].tolist() for _, given in backend.runs] == [[[0, 0, 1, 2]], [[3, 4, 5, 6]]]
    assert backend.runs[1][1]["attention_mask"].tolist() == [[0, 0, 1, 1, 1, 1, 1, 1]]
    assert backend.runs[1][1]["position_ids"].tolist() == [[2, 3, 4, 5]]
    with pytest.raises(UsageError, match="expected a multiple of 4 tokens in a step, found 1"):
        session.step(ids(1))


def test_chunks_go_one_after_the_other() -> None:
    session, backend = opened("llama")
    session.prefill(ids(7), chunk=3)
    session.step(ids(3), chunk=2)
    assert [given["position_ids"].tolist()[0] for _, given in backend.runs] == [[0, 1, 2], [3, 4, 5], [6], [7, 8], [9]]


def test_where_a_token_alone_is_taken_for_a_word_a_code_is_refused() -> None:
    options = {"static": True, "sequence": 4, "max_length": 8, "sample_mode": "text"}
    session, _ = opened("vision-llama", **options)
    codes = np.array([[False, True, True, False, False, False]])
    session.prefill(ids(6), vision_masks=codes)
    with pytest.raises(UsageError, match=r"expected a word as token 6, found a code; this model treats a single"):
        session.step([[1]], vision_masks=[[True]])
    session, _ = opened("vision-llama", **{**options, "sample_mode": "all"})
    session.prefill(ids(6), vision_masks=~codes)


PAIR = {"static": True, "sequence": 4, "max_length": 8}
REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "too many slots": ("llama", PAIR, {"input_ids": ids(9)}, "at most 8 tokens.*found 9.*--max-length"),
    "too many positions": ("llama", {}, {"input_ids": ids(13)}, "at most 12 tokens.*max_sequence_length.*found 13"),
    "one dimension": ("llama", {}, {"input_ids": [1, 2]}, r"input_ids as integers \[batch, tokens\]"),
    "no token": ("llama", {}, {"input_ids": np.zeros((1, 0), int)}, r"input_ids as integers \[batch, tokens\]"),
    "fractions": ("llama", {}, {"input_ids": [[0.5]]}, "input_ids as integers"),
    "a mask of another shape": ("llama", {}, {"input_ids": ids(2), "attention_mask": [[1]]}, "attention_mask as 0"),
    "a mask of other numbers": ("llama", {}, {"input_ids": ids(2), "attention_mask": [[2, 1]]}, "attention_mask as 0"),
    "padding on the right": ("llama", {}, {"input_ids": ids(2), "attention_mask": [[1, 0]]}, "a row of .* ends with 0"),
    "padding inside": ("llama", {}, {"input_ids": ids(3), "attention_mask": [[1, 0, 1]]}, "a 0 after a 1 in"),
    "no chunk": ("llama", {}, {"input_ids": ids(2), "chunk": 0}, "chunk as a whole number .*, found 0"),
    "a text as chunk": ("llama", {}, {"input_ids": ids(2), "chunk": "2"}, "chunk as a whole number .*, found '2'"),
    "a fraction as chunk": ("llama", {}, {"input_ids": ids(2), "chunk": 1.5}, "chunk as a whole number .*, found 1.5"),
    "nothing kept": ("llama", {}, {"input_ids": ids(2), "keep": 0}, "keep as a whole number .*, found 0"),
    "a text as keep": ("llama", {}, {"input_ids": ids(2), "keep": "1"}, "keep as a whole number .*, found '1'"),
    "padding alone": (
        "llama", {}, {"input_ids": ids(2, 2), "attention_mask": [[0, 1], [0, 0]]}, "one 1 in each row .* 0 in row 1"
    ),
    "codes for a text model": ("llama", {}, {"input_ids": ids(1), "vision_masks": [[True]]}, "no vision_masks"),
    "no word of codes": ("vision-llama", {}, {"input_ids": ids(1)}, "vision_masks beside the ids.*found none"),
    "codes of another shape": (
        "vision-llama", {}, {"input_ids": ids(2), "vision_masks": [[True]]}, r"vision_masks as bool\[1, 2\]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_prompt_that_does_not_fit_is_refused_in_one_line(name: str) -> None:
    component, options, given, message = REFUSED[name]
    session, backend = opened(component, **options)
    with pytest.raises(UsageError, match=message) as caught:
        session.prefill(**given)
    assert "\n" not in str(caught.value)
    assert not backend.runs


def test_a_token_that_the_model_does_not_have_is_refused() -> None:
    session, _ = opened("llama")
    with pytest.raises(RunnerError, match="expected input_ids between 0 and 47, found 48 to 48"):
        session.prefill([[48]])


def test_a_step_is_of_the_same_batch() -> None:
    session, _ = opened("llama")
    session.prefill(ids(2, batch=2))
    with pytest.raises(UsageError, match="each of the 2 sequences of the prefill, found 1"):
        session.step([[1]])


def test_a_cache_that_is_full_takes_no_step() -> None:
    session, backend = opened("llama", static=True, sequence=4, max_length=5)
    session.prefill(ids(4))
    session.step(ids(1))
    with pytest.raises(UsageError, match=r"at most 5 tokens.*found 6"):
        session.step(ids(1))
    assert (session.length, len(backend.runs)) == (5, 2)


@pytest.mark.parametrize(("name", "message"), [
    ("llama-block", "expected a whole language model.*hidden_states"),
    ("ring-step", "expected a whole language model"),
    ("llama-head", "expected the states of llama-head in its manifest"),
])  # fmt: skip
def test_a_part_of_a_model_is_refused_in_one_line(name: str, message: str) -> None:
    (component,) = resolve(name, CONFIG).components
    parts = {"decode": (component.name, component.signature)}
    with pytest.raises(ArtifactError, match=message) as caught:
        TokenSession(Recorder(parts), parts)
    assert isinstance(caught.value, PortError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["llama", "llama-block", "vision-llama", "ring-step"])
@pytest.mark.parametrize("static", [False, True])
def test_states_name_outputs_of_a_component_and_inputs_of_the_next(name: str, *, static: bool) -> None:
    components = resolve(name, VISION if "vision" in name else CONFIG, Options(static=static)).components
    inputs = {spec.name: spec for one in components for spec in one.signature.inputs}
    for component in components:
        outputs = {spec.name: spec for spec in component.signature.outputs}
        for state in component.signature.states:
            after, before = outputs[state.output], inputs[state.input]
            assert after.dtype == before.dtype
            assert (after.shape == before.shape) == (state.update is not Update.GROWS)
            rest = [place for place in range(len(after.shape)) if place != state.axis]
            assert [after.shape[place] for place in rest] == [before.shape[place] for place in rest]
            assert (state.position in inputs) == (state.update is Update.SLOT)
