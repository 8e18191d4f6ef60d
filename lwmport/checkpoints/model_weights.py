"""A model with its weights: a checkpoint that fits it, or seeded ones where none is given."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from lwmport import digest, plain
from lwmport.checkpoints.adapted import AdaptedCheckpoint, adapted, base_and_adapter
from lwmport.checkpoints.feeders import with_its_feeders
from lwmport.checkpoints.fit import fit
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.layers import LayeredWeights
from lwmport.checkpoints.lora import open_adapter
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.random_weights import recognised
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.sidecar import sidecar_of
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.checkpoints.told_config import check_agrees, config_choices, told_config
from lwmport.choices import CHOICES, WEIGHTS, Choice
from lwmport.errors import CheckpointError, ConfigError
from lwmport.models.families import Family, family_with, resolve
from lwmport.models.folding import folded_vectors
from lwmport.models.options import Options
from lwmport.models.specs import looks_like, named_by_huggingface
from lwmport.models.storage import main_scheme, rounded_biases, scheme_of, schemes_of
from lwmport.types import Component, Weights, WeightSpec

ADAPTER: Final = "LoRA adapter"
DIGITS: Final = 16
"""Of the digest of an adapter or a recipe, in a choice; the manifest has all of them."""

FEW_RULES: Final = 8
"""Rules of a recipe that are told one by one; the manifest has all of them."""

ModelWeights: TypeAlias = Checkpoint | SeededWeights | AdaptedCheckpoint
"""The weights of a whole model."""


def open_model(
    component: str,
    checkpoint: str | None,
    config: str | Mapping[str, Any],
    options: Options,
    seed: int,
    adapter: Path | None = None,
) -> tuple[Family, ModelWeights]:
    """Return the model behind a component's or a group's name, and its weights; no tensor of them is read.

    Args:
        component: a key of `lwmport.models.families.NAMES`.
        checkpoint: what `open_checkpoint` takes; None for seeded weights.
        config: as `lwmport.models.families.resolve` takes it.
        options: how components are cut out of the model.
        seed: of seeded weights.
        adapter: the folder of a LoRA adapter that is merged into the checkpoint.

    Raises:
        PortError: no such model, or weights that cannot be read or do not fit.
    """
    spec = family_with(component)
    checkpoint, adapter = base_and_adapter(checkpoint, adapter)
    opened = None if checkpoint is None else open_checkpoint(checkpoint, spec.name)
    specs = None if opened is None else opened.specs
    with advised(component, specs):
        told = told_config(spec, component, opened, config, options.settings)
        family = with_its_feeders(resolve(component, told.config, options, specs), opened)
        check_agrees(spec, told, family.config, options.settings)
        weights = fitting(family, opened, seed, adapter)
    choices = (
        *config_choices(family, told, options.settings, specs or ()),
        *_model_choices(family.options),
        *_weights_choices(weights),
    )
    return replace(family, choices=choices), weights


@contextlib.contextmanager
def advised(component: str, names: Collection[str] | None) -> Iterator[None]:
    """Let errors inside the block end in what a checkpoint with these tensors looks like; None for no checkpoint.

    Raises:
        CheckpointError: as inside the block, as a ConfigError is.
    """
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        advice = "" if names is None else other_model(component, names)
        raise type(error)(f"{error}{advice}") from error


def other_model(component: str, names: Collection[str]) -> str:
    """Return what a checkpoint looks like that is none of a component's model, as the end of a message."""
    found = looks_like(names)
    asked, other = family_with(component), family_with(found) if found else None
    wholes = sorted({*asked.marks.values()}, key=len, reverse=True)
    whole = next((name for name in wholes if component.startswith(name)), component)
    if other is not None and (other.name != asked.name or (found in wholes and whole in wholes and found != whole)):
        return f"; this looks like {found}: --component {found}"
    if named_by_huggingface(names):
        return "; its tensors have Hugging Face's names: name its folder, with config.json in it"
    return ""


def _model_choices(options: Options) -> tuple[Choice, ...]:
    """Return in what the model computes and is stored, and in which form its tokens come."""
    usual = Options()
    source = "default" if options.precision == usual.precision else "--precision"
    form = options.input_form
    taken = (Choice("inputs", form, "--input-form"),) if form != usual.input_form else ()
    cache = (Choice("cache", options.cache, "--cache"),) if options.cache != usual.cache else ()
    wide = tuple(Choice("kept in float32", pattern, "--keep-float32") for pattern in options.keep_float32)
    return (Choice("precision", options.precision, source), *wide, *_storage_choices(options), *cache, *taken)


def _storage_choices(options: Options) -> Iterator[Choice]:
    """Yield what weights are stored as, and how they are rounded to that."""
    scheme = scheme_of(options)
    if scheme is None:
        return
    if options.store:
        yield Choice("storage", scheme.name, "--store")
        return
    yield Choice("quantisation", scheme.name, "--quantize")
    if not scheme.scales:
        return
    shared = str(scheme.group) if scheme.group else "all of an output"
    yield Choice("values that share a scale", shared, "--group-size" if options.group_size else "default")
    none, flag = ("none", "default") if scheme.symmetric else ("one a scale", "--asymmetric")
    yield Choice("zero points", none, flag)
    yield Choice("scales chosen by", scheme.method, "--method" if options.method else "default")
    if len(options.recipe) > FEW_RULES:
        count, sha256 = len(options.recipe), digest.of_json(options.recipe)[:DIGITS]
        yield Choice("rounded otherwise", f"by {count} patterns, sha256 {sha256}", "--recipe")
    for text in options.recipe if len(options.recipe) <= FEW_RULES else ():
        yield Choice("rounded otherwise", text, "--recipe")
    for text in options.keep:
        yield Choice("not quantised", text, "--keep")


def _weights_choices(weights: ModelWeights) -> Iterator[Choice]:
    """Yield where the weights came from, and what was merged into them: known by its bytes, wherever it lies."""
    if isinstance(weights, SeededWeights):
        yield Choice(WEIGHTS, f"random (seed {weights.seed}), not trained", "no --checkpoint")
    elif weights.random is None:
        yield Choice(WEIGHTS, weights.path.name, "--checkpoint")
    else:
        yield Choice(WEIGHTS, weights.random.value, f"the values in {weights.path.name}, made again from the seed")
    if isinstance(weights, AdaptedCheckpoint):
        yield Choice(ADAPTER, f"sha256 {weights.adapter.digest()[:DIGITS]}", "--adapter")


def fitting(family: Family, opened: Checkpoint | None, seed: int = 0, adapter: Path | None = None) -> ModelWeights:
    """Return a checkpoint that fits the model, with an adapter merged into it, or seeded weights where there is none.

    Tensors that are left over are an error of a strict family. Of another one, the checkpoint tells them.

    Raises:
        CheckpointError: it does not fit; every tensor that is wrong is named. Or the adapter does not.
        UsageError: the model is none that an adapter is for.
    """
    if opened is None:
        return SeededWeights(seeded_specs(family), seed)
    fit_to(family, opened)
    beside = sidecar_of(opened)
    seeds = [seed for seed in (opened.findings.seed, beside.seed if beside else None) if seed is not None]
    opened.random = recognised(opened, seeded_specs(family), family.sources, seeds)
    return opened if adapter is None else adapted(family, opened, open_adapter(adapter))


def fit_to(family: Family, opened: Checkpoint) -> None:
    """Return if a checkpoint holds what the model reads, with what is left over noted in the checkpoint.

    Raises:
        CheckpointError: it does not; every tensor that is wrong is named.
    """
    released = family.spec.released
    try:
        opened.left_over = fit(opened, family.read, family.name, strict=family.spec.strict)
    except CheckpointError as error:
        missing = [name for name in family.read if name not in opened.specs]
        raise CheckpointError(f"{error}{released.where(missing, opened.specs) if released else ''}") from error


def seeded_specs(family: Family) -> Mapping[str, WeightSpec]:
    """Return the tensors that are made up where no checkpoint is, one a layer, by their names in a checkpoint.

    They are all that the family tells. Of a family that tells none, or that stacks layers, they are what is read.
    """
    return family.taken if family.sources else family.read


def component_weights(family: Family, component: Component, weights: Weights) -> Weights:
    """Return the weights of a component and of its feeder: layers out of stacked tensors, in the component's dtypes.

    Where the options say what weights are stored as, those of the component are what is stored of them.
    """
    sources = {name: source for name, source in family.sources.items() if source[0] in weights.specs}
    both = (component,) if component.feeder is None else (component.feeder, component)
    specs = {name: spec for one in both for name, spec in one.weights.items()}
    located = {own: there for one in both for own, there in one.located.items()}
    found = LayeredWeights(weights, specs, sources, located)
    found.source = {**weights.source, CHOICES: plain.encode(family.choices)}
    scheme = main_scheme(component, family.options)
    if scheme is None:
        return found
    rounder = weights.rounder if isinstance(weights, ModelWeights) else None
    schemes = schemes_of(component, family.options)
    return StoredWeights(
        found,
        scheme,
        schemes,
        biases=rounded_biases(component, family.options),
        rounder=rounder,
        folded=folded_vectors(component, schemes),
        inputs={name: own.inputs for name, own in component.rounded.items()},
    )
