"""Components whose cache is rounded: codes, scales that hold at any position, and what can have none."""

import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.errors import UnusedOptionError
from lwmport.models.attention.coded import Coded, appended, decoded, encoded
from lwmport.models.families import caching, resolve
from lwmport.models.narrow_cache import reaching, widened
from lwmport.models.options import Options
from lwmport.types import Component, Signature, State, TensorSpec, Update

CONFIG = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64, "scan_layers": False,
}  # fmt: skip


def test_codes_take_ties_to_even_and_end_where_the_operator_ends() -> None:
    values = np.asarray([0.25, 0.75, 1.25, -0.75, 63.75, 100.0, -100.0], np.float32)
    codes = np.asarray(encoded(jnp.asarray(values), np.float32(0.5)))
    assert codes.tolist() == [0, 2, 2, -2, 127, 127, -128]
    np.testing.assert_array_equal(decoded(codes[:4], np.float32(0.5)), [0.0, 1.0, 1.0, -1.0])


def test_new_tokens_are_kept_as_the_cache_is() -> None:
    new = jnp.full((1, 2, 1, 4), 1 + 2.0**-12)
    half = appended(jnp.zeros((1, 2, 3, 4), jnp.float16), new)
    assert (half.dtype, half.shape, float(half[0, 0, 3, 0])) == (jnp.float16, (1, 2, 4, 4), 1.0)
    coded = appended(Coded(jnp.zeros((1, 2, 3, 4), jnp.int8), np.full((1, 2, 1, 4), 0.5, np.float32)), new)
    assert (coded.dtype, int(coded[0, 1, 3, 2])) == (jnp.int8, 2)


@pytest.mark.parametrize(("turned", "expected"), [({"held"}, [5.0, 5.0, 1.0, 1.0]), (set[str](), [3.0, 4.0, 1.0, 0.0])])
def test_channels_that_a_position_turns_reach_as_far_as_both_together(turned: set[str], expected: list[float]) -> None:
    held, kept = (TensorSpec(name=name, shape=("batch", 1, "past", 4), dtype="float32") for name in ("held", "kept"))
    state = State(input="held", output="kept", axis=2, update=Update.GROWS)
    new = jnp.asarray([[[[3.0, -4.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]]])
    component = Component(
        name="small",
        family="test",
        signature=Signature(inputs=(held,), outputs=(kept,), states=(state,)),
        weights={},
        config={},
        apply=lambda _, inputs: {"kept": jnp.concatenate([inputs["held"], new], 2)},
        turned=frozenset(turned),
    )
    made = reaching(component).apply({}, {"held": jnp.full((1, 1, 2, 4), 9.0)})  # what is held already does not count
    np.testing.assert_allclose(made["held"], np.reshape(expected, (1, 1, 1, 4)))


@pytest.mark.parametrize("name", ["llama", "llama-block", "llama-prefill", "llama-decode"])
def test_states_in_float16_are_told_and_nothing_else_is_narrow(name: str) -> None:
    (component,) = resolve(name, CONFIG, Options(cache="float16")).components
    specs = (*component.signature.inputs, *component.signature.outputs)
    assert {spec.name for spec in specs if spec.dtype == "float16"} == {
        spec.name for spec in specs if spec.name in component.signature.caches
    }
    wide = widened(component)
    assert wide is not None
    assert all(spec.dtype != "float16" for spec in wide.signature.outputs)


def test_codes_are_told_once_their_scales_are_found() -> None:
    family = resolve("llama", CONFIG, Options(cache="int8"))
    names = {state.input for state in family.components[0].signature.states}
    found = caching(family, {"llama": {name: np.ones((1, 2, 1, 16), np.float32) for name in names}})
    for component in (*found.components, *found.references):
        assert {spec.dtype for spec in component.signature.inputs if spec.name in names} == {"int8"}
        assert set(component.scales) == names


def test_a_cache_with_slots_has_no_codes() -> None:
    with pytest.raises(UnusedOptionError, match="--cache int8 for a cache that grows, found llama-decode, whose cache"):
        resolve("llama-decode", CONFIG, Options(cache="int8"))
