"""Inputs of the language components to judge on: tokens of a text, padded on the left, in front of them a cache.

The text is the one that ships (`lwmport.models.llama.sample_text`); caches, states and codes of pictures are seeded.

What a padded token computes is nobody's: it averages over whatever a backend lets it see. ``CaseInputs.relevant`` says
which elements of an output count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lwmport.models.llama.sample_text import IDS
from lwmport.models.spec import CaseInputs
from lwmport.types import Array, Component, State, TensorSpec, Update, size_of, within_tables

RING: Final[Mapping[str, int]] = {"queries": 8, "keys": 8}
"""Tokens of a ring step where the signature leaves them open."""

SEED: Final = 20

STEP: Final = 37
"""How many tokens farther on the text begins for each further item: no two of the first 175 begin at one place."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a model of any length is tried on: new tokens, tokens in the cache, and whether there is padding."""

    name: str
    sequence: int
    past: int
    padded: bool


USUAL: Final = Case(name="", sequence=9, past=6, padded=True)
"""Of a component whose lengths are fixed, or that has no cache."""

CASES: Final[tuple[Case, ...]] = (
    Case(name="prefill", sequence=64, past=0, padded=False),
    Case(name="continuation", sequence=9, past=6, padded=False),
    Case(name="decode", sequence=1, past=6, padded=False),
    Case(name="padded prefill", sequence=9, past=0, padded=True),
    Case(name="padded decode", sequence=1, past=6, padded=True),
)
"""Of a prefill, 64 positions of a text tell how often two models choose the same token. Each may take another
operator: a fused one takes what has no padding, or one token, and loops take the rest."""


class LanguageInputs:
    """Tokens of a text (`lwmport.models.spec.InputMaker`)."""

    def cases(self, component: Component) -> tuple[str, ...]:
        """Return the names of the cases that a component is tried on."""
        return tuple(case.name for case in cases_of(component))

    def make(self, component: Component, batch: int, number: int, case: str) -> CaseInputs:
        """Return the inputs of one run."""
        named = {one.name: one for one in (USUAL, *CASES)}
        return language_inputs(component, batch, SEED + number, named[case])


INPUTS: Final = LanguageInputs()


def cases_of(component: Component) -> tuple[Case, ...]:
    """Return what a component is tried on: every case where its cache may have any length, else the usual one."""
    names = {dim for spec in component.signature.inputs for dim in spec.shape if isinstance(dim, str)}
    if "past" not in names:
        return (USUAL,)
    found = CASES
    if "sequence" not in names:
        found = tuple({(case.past, case.padded): case for case in reversed(CASES)}.values())[::-1]
    return tuple(case for case in found if _fits(component, _shorter(component, case)))


def _shorter(component: Component, case: Case) -> Case:
    """Return the case with no more new tokens than the model has positions."""
    spec = next((spec for spec in component.signature.inputs if spec.name == "position_ids"), None)
    if spec is None or spec.value_range is None or spec.shape[1] != "sequence":
        return case
    return replace(case, sequence=min(case.sequence, max(int(spec.value_range[1]) + 1 - case.past, 1)))


def _fits(component: Component, case: Case) -> bool:
    """Return whether a model has positions for the tokens of a case, behind those in the cache."""
    spec = next((spec for spec in component.signature.inputs if spec.name == "position_ids"), None)
    if spec is None or spec.value_range is None:
        return True
    return size_of(spec.shape[1], {"sequence": case.sequence}) + case.past <= spec.value_range[1] + 1


def language_inputs(component: Component, batch: int, seed: int = SEED, case: Case = USUAL) -> CaseInputs:
    """Return inputs that fit a component's signature, with the lengths of ``case`` where it leaves them open.

    ``seed`` also says where in the text they begin: `SEED` at its beginning, each further number a run later.
    """
    case = _shorter(component, case)
    sizes = {**RING, "batch": batch, "sequence": case.sequence, "past": case.past}
    random = np.random.default_rng(seed)
    specs = {spec.name: spec for spec in component.signature.inputs}
    shapes = {name: tuple(size_of(dim, sizes) for dim in spec.shape) for name, spec in specs.items()}
    mask = mask_for(shapes, padded=case.padded and "attention_mask" in specs)
    counted = np.ones_like(mask) if "cache_position" in specs else mask
    inputs = {name: array_for(specs[name], shapes[name], mask, random) for name in specs}
    if "input_ids" in inputs:
        inputs["input_ids"] = read(shapes["input_ids"], seed - SEED, specs["input_ids"])
    if "vision_masks" in inputs:
        mode = component.config["sample_mode"]
        if shapes["vision_masks"][1] == 1 and mode != "all":  # a token alone is what the model sampled
            inputs["vision_masks"][:] = mode == "vision"
        inputs = within_tables(component.signature.inputs, inputs)
    return CaseInputs(
        inputs=inputs,
        relevant=relevant_of(component, sizes, counted),
        description=_described(shapes, int((counted == 0).sum()), seed),
    )


def _described(shapes: Mapping[str, tuple[int, ...]], padded: int, seed: int) -> str:
    """Return what the inputs are: how many tokens of which text, and what is in front of them."""
    batch, count, *_ = shapes.get("input_ids", shapes.get("hidden_states", shapes.get("query", (1, 1))))
    cached = next((shape[2] for name, shape in shapes.items() if "." in name), 0)
    what = "tokens of the text that ships" if "input_ids" in shapes else f"seeded inputs (seed {seed})"
    parts = [f"{batch} x {count} {what}" if batch > 1 else f"{count} {what}"]
    parts += [f"behind a seeded cache of {cached}"] if cached else []
    parts += [f"{padded} of padding on the left"] if padded else []
    return ", ".join(parts)


def read(shape: tuple[int, ...], number: int, spec: TensorSpec) -> Array:
    """Return tokens [batch, tokens] of the text that ships, each item from another place on, round and round.

    A token that the model's table does not have is taken modulo its number of rows.
    """
    batch, count = shape
    starts = (number * batch + np.arange(batch)) * STEP
    places = (starts[:, None] + np.arange(count)) % len(IDS)
    rows = int(spec.value_range[1]) + 1 if spec.value_range else max(IDS) + 1
    return (np.asarray(IDS)[places] % rows).astype(spec.dtype)


def relevant_of(component: Component, sizes: Mapping[str, int], counted: Array) -> dict[str, Array]:
    """Return which elements of each output count, where ``counted`` [batch, tokens] is 0 for padding."""
    states = {state.output: state for state in component.signature.states}
    return {
        spec.name: _counting(states.get(spec.name), tuple(size_of(dim, sizes) for dim in spec.shape), counted)
        for spec in component.signature.outputs
    }


def mask_for(shapes: Mapping[str, tuple[int, ...]], *, padded: bool) -> Array:
    """Return 1 for every token and 0 for padding, [batch, tokens]: padding lies left, in the last item of the batch.

    A cache of fixed length is filled up to its middle.
    """
    batch, length = shapes.get("attention_mask", shapes.get("position_ids", (1, 1)))
    found = np.ones((batch, length), np.int64)
    found[-1, : min(3, length // 2) if padded else 0] = 0
    if "cache_position" in shapes:
        found[:, filled(shapes) :] = 0
    return found


def filled(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return how many slots of a fixed cache hold a token after this run."""
    _, length = shapes["attention_mask"]
    tokens = shapes.get("position_ids", (1, 1))[1]
    return max(length // 2, min(length, tokens + 4))


def array_for(spec: TensorSpec, shape: tuple[int, ...], mask: Array, random: np.random.Generator) -> Array:
    """Return one input: what follows from the mask, integers in their range, or numbers of standard deviation 1."""
    rule = _RULES.get(spec.name)
    if rule is not None:
        found = rule(shape, mask)
    elif spec.dtype == "bool":
        found = random.integers(0, 2, shape)
    elif spec.value_range is not None and np.issubdtype(np.dtype(spec.dtype), np.integer):
        found = random.integers(int(spec.value_range[0]), int(spec.value_range[1]) + 1, shape)
    else:
        found = random.standard_normal(shape).astype(np.float32)
    return np.asarray(found, dtype=spec.dtype)


def _last(mask: Array) -> int:
    """Return the slot of the last token."""
    return int(np.flatnonzero(np.any(mask != 0, axis=0))[-1])


def _positions(shape: tuple[int, ...], mask: Array) -> Array:
    end = _last(mask) + 1
    return np.asarray(np.maximum(np.cumsum(mask, axis=1) - 1, 0)[:, end - shape[1] : end])


_RULES: Final[Mapping[str, Callable[[tuple[int, ...], Array], Any]]] = {
    "attention_mask": lambda _, mask: mask,
    "cache_position": lambda shape, mask: np.full(shape, _last(mask)),
    "denominator": lambda shape, _: np.full(shape, 2.0),
    "key_offset": lambda shape, _: np.zeros(shape),
    "maximum": lambda shape, _: np.full(shape, 0.5),
    "position_ids": _positions,
    "query_offset": lambda shape, mask: np.full(shape, mask.shape[1] // 2),
}
"""Inputs whose values mean something. Queries of a ring begin in the middle of the keys: half of those is past."""


def _counting(state: State | None, shape: tuple[int, ...], mask: Array) -> Array:
    """Return which elements of an output count, to broadcast over its shape: those of tokens that are no padding.

    A state that is replaced counts whole: the mask is not of its tokens.
    """
    if state is not None and state.update is Update.REPLACED:
        return np.ones((1,) * len(shape), bool)
    axis = 1 if state is None else state.axis
    seen = mask != 0
    length = shape[axis]
    seen = seen[:, seen.shape[1] - length :] if length < seen.shape[1] else seen
    whole = np.ones((len(mask), length), bool)
    whole[:, : seen.shape[1]] = seen
    return whole.reshape((len(mask), *(length if place == axis else 1 for place in range(1, len(shape)))))
