"""Language models that take embeddings in the place of tokens, in every format: judged, run, refused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import lwmport
from lwmport import manifest
from lwmport.checkpoints.model_weights import component_weights, seeded_specs
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import UnusedOptionError, UsageError
from lwmport.extras import installed
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.types import Array, Status

CONFIG: Final = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_sequence_length": 128, "scan_layers": False,
}  # fmt: skip
TABLE: Final = "transformer/wte/embedding"
BATCH, TOKENS, PROMPT = 2, 9, 6
EMBEDS: Final = Options(input_form="embeds")
PAIR: Final = Options(input_form="embeds", sequence=PROMPT, max_length=12)
CASES: Final[Mapping[str, tuple[str, str, Options, Any]]] = {
    "any length": ("onnx", "ort", EMBEDS, "dynamic"),
    "a pair": ("onnx", "migraphx", PAIR, BATCH),
    "a pair, LiteRT": ("tflite", "litert", PAIR, BATCH),
    "any length, TensorFlow": ("saved_model", "tf", EMBEDS, "dynamic"),
}
NEEDED: Final = {"a pair, LiteRT": "ai_edge_litert", "any length, TensorFlow": "tensorflow"}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Return ``converted(case)``: the debug model, converted and judged once for all tests."""
    made: dict[str, Any] = {}

    def convert(case: str) -> Any:
        if not installed(NEEDED.get(case, "onnxruntime")):
            pytest.skip(f"{NEEDED[case]} is not installed")
        if case not in made:
            form, dialect, options, batch = CASES[case]
            made[case] = lwmport.convert(
                lwmport.ConvertRequest(
                    component="llama",
                    format=form,
                    dialect=dialect,
                    out=tmp_path_factory.mktemp("embeds") / "out",
                    config=CONFIG,
                    batch=batch,
                    options=options,
                )
            )
        return made[case]

    return convert


@pytest.fixture(scope="module")
def ids() -> Array:
    return np.random.default_rng(3).integers(0, CONFIG["vocab_size"], (BATCH, TOKENS))


@pytest.fixture(scope="module")
def weights() -> Any:
    family = resolve("llama", CONFIG)
    return component_weights(family, family.references[0], SeededWeights(seeded_specs(family), 0))


@pytest.fixture(scope="module")
def logits(jax_outputs: Callable[..., dict[str, Array]], weights: Any, ids: Array) -> Array:
    """Return JAX's logits of ids, by the model that looks them up."""
    (component,) = resolve("llama", CONFIG).references
    given = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "position_ids": np.arange(TOKENS)[None].repeat(BATCH, axis=0),
        **{state.input: np.zeros((BATCH, 2, 0, 8), np.float32) for state in component.signature.states},
    }
    return jax_outputs(component, weights, given)["logits"]


@pytest.mark.parametrize("case", CASES)
def test_each_format_agrees_with_the_reference(case: str, converted: Callable[[str], Any]) -> None:
    outcome = converted(case)
    made: manifest.Manifest = outcome.manifest
    assert outcome.status is Status.PASSED
    taken = {part.name: [spec.name for spec in part.signature.inputs] for part in made.components}
    if "pair" in case:
        assert [taken["llama-prefill"][0], taken["llama-decode"][0]] == ["inputs_embeds", "input_ids"]
    else:
        assert taken["llama"][0] == "inputs_embeds"
    assert {choice.name: choice.value for choice in made.choices}["inputs"] == "embeds"
    assert "--input-form embeds" in made.reproduce[0]
    assert "a text, " in (outcome.out / "report.md").read_text()


@pytest.mark.parametrize("runner", [None, "jax"])
@pytest.mark.parametrize("case", ["any length", "a pair", "a pair, LiteRT"])
def test_a_session_on_embeddings_of_ids_is_the_model_of_ids(
    case: str, runner: str | None, converted: Callable[[str], Any], weights: Any, ids: Array, logits: Array
) -> None:
    embeds = weights.read(TABLE)[ids]
    with lwmport.Session(converted(case).out, runner=runner) as session:
        found = [session.prefill(inputs_embeds=embeds[:, :PROMPT], keep=None)["logits"]]
        for place in range(PROMPT, TOKENS):
            new = slice(place, place + 1)
            given = {"input_ids": ids[:, new]} if "pair" in case else {"inputs_embeds": embeds[:, new]}
            found.append(session.step(**given)["logits"])
    np.testing.assert_allclose(np.concatenate(found, axis=1), logits, rtol=0, atol=2e-5)


def test_the_table_is_written_where_a_phase_looks_into_it(converted: Callable[[str], Any], weights: Any) -> None:
    table = weights.read(TABLE).tobytes()
    data = {file.name: table in file.read_bytes() for file in converted("a pair").out.glob("*.data")}
    assert [name for name, has in data.items() if has] == ["llama-decode.onnx.data"]
    assert "llama-weights.onnx.data" in data
    assert not any(table in file.read_bytes() for file in converted("any length").out.iterdir())
    for options, has in ((Options(), True), (EMBEDS, False)):
        assert (TABLE in resolve("llama", CONFIG, options).components[0].weights) is has
    tied = resolve("llama", {**CONFIG, "tie_word_embeddings": True}, EMBEDS).components[0]
    assert TABLE in tied.weights, "it is the head"


def test_a_model_of_pictures_takes_embeddings_of_words_and_codes() -> None:
    codes = {**CONFIG, "vision_vocab_size": 24}
    (component,) = resolve("vision-llama", codes, EMBEDS).components
    assert [spec.name for spec in component.signature.inputs][:2] == ["inputs_embeds", "attention_mask"]
    assert not {TABLE, "transformer/vte/embedding"} & set(component.weights)


def test_the_short_word_is_the_option_where_no_file_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(**more: Any) -> lwmport.ConvertRequest:
        return lwmport.ConvertRequest(component="llama", format="onnx", out=tmp_path / "out", config=CONFIG, **more)

    monkeypatch.chdir(tmp_path)
    short = request(inputs=Path("embeds"))
    assert (short.inputs, short.options) == (None, EMBEDS)
    (tmp_path / "embeds").mkdir()
    assert request(inputs=Path("embeds")).inputs == Path("embeds")


@pytest.mark.parametrize(
    ("component", "form", "message"),
    [
        ("llama", "hf", "expected --input-form of a lowered program, found --input-form embeds"),
        ("llama-decode", "onnx", "expected --input-form of llama, llama-prefill"),
    ],
)
def test_what_takes_no_embeddings_refuses_them(component: str, form: str, message: str, tmp_path: Path) -> None:
    request = lwmport.ConvertRequest(
        component=component, format=form, out=tmp_path / "out", config=CONFIG, options=EMBEDS
    )
    with pytest.raises(UnusedOptionError, match=message):
        lwmport.convert(request)
    assert not (tmp_path / "out").exists()


def test_a_user_judges_on_tokens_or_on_embeddings(
    converted: Callable[[str], Any], weights: Any, ids: Array, tmp_path: Path
) -> None:
    out = converted("any length").out
    np.savez(tmp_path / "ids.npz", input_ids=ids)
    past = {f"past_key_values.{layer}.{part}": np.zeros((BATCH, 2, 0, 8), np.float32)
            for layer in range(2) for part in ("key", "value")}  # fmt: skip
    np.savez(
        tmp_path / "embeds.npz",
        inputs_embeds=weights.read(TABLE)[ids],
        attention_mask=np.ones_like(ids),
        position_ids=np.arange(TOKENS)[None].repeat(BATCH, axis=0),
        **past,
    )
    for name in ("ids.npz", "embeds.npz"):
        report = lwmport.validate(lwmport.ValidateRequest(artifact=out, inputs=tmp_path / name))
        assert report.status is Status.PASSED, name


@pytest.mark.parametrize(
    ("case", "given", "message"),
    [
        ("any length", {"input_ids": np.ones((BATCH, 2), int)}, "expected inputs_embeds, which the prefill"),
        ("a pair", {"input_ids": np.ones((BATCH, 2), int)}, "expected inputs_embeds, which the prefill"),
        ("a pair", {"inputs_embeds": np.zeros((BATCH, 7, 32))}, "expected at most 6 tokens as inputs_embeds"),
        ("any length", {"inputs_embeds": np.zeros((BATCH, 7))}, "expected inputs_embeds as floats"),
        ("any length", {}, "expected either input_ids or inputs_embeds, found none"),
    ],
)
def test_a_session_refuses_the_other_form_in_one_line(
    case: str, given: Mapping[str, Array], message: str, converted: Callable[[str], Any]
) -> None:
    with lwmport.Session(converted(case).out) as session, pytest.raises(UsageError, match=message):
        session.prefill(**given)
