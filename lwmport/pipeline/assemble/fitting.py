"""Which parts make a model together: codes of pictures beside tokens, or features of pictures among embeddings."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lwmport.errors import ArtifactError, UsageError
from lwmport.generation.tokenizer import Tokenizer
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.models.spec import Prompts, TalkPrompts
from lwmport.models.specs import spec_of
from lwmport.pipeline.assemble.package import (
    EMBED,
    LANGUAGE,
    PICTURES,
    component_with,
    embedding_of,
    prompts_of,
    spliced_prompts_of,
)
from lwmport.runtime.session.layout import EMBEDS, IDS
from lwmport.types import Component


def rows_of(parts: Iterable[ComponentEntry | Component]) -> int | None:
    """Return how many tokens a model has, by its components; None if it takes none."""
    for part in parts:
        for spec in part.signature.inputs:
            if spec.name == IDS and spec.tables is not None:
                return spec.tables.rows[0]
            if spec.name == IDS and spec.value_range is not None:
                return int(spec.value_range[1]) + 1
    return None


def check_vocabulary(
    parts: Iterable[ComponentEntry | Component], model: Path, tokenizer: Tokenizer, folder: Path
) -> None:
    """Return if each token of the tokenizer in ``folder`` is one of a model, of which ``parts`` are the components.

    Raises:
        ArtifactError: none takes tokens.
        UsageError: the tokenizer has more.
    """
    rows = rows_of(parts)
    if rows is None:
        raise ArtifactError(f"expected a model that takes {IDS}, found none")
    if tokenizer.size > rows:
        raise UsageError(
            f"expected at most {rows:,} tokens in {folder}, as the model in {model} has, found {tokenizer.size:,}"
        )


def check_fit(made: Mapping[str, Manifest], folders: Mapping[str, Path]) -> None:
    """Return if parts make a model that runs.

    Args:
        made: part -> its manifest; the language model's is there.
        folders: part -> its folder.

    Raises:
        ArtifactError: a part is of another kind.
        UsageError: a part is missing, is needed by no other, or has other sizes than they.
    """
    if _width(made[LANGUAGE], EMBEDS) is None:
        _check_codes(prompts_of(made[LANGUAGE].family), made, folders)
        return
    for part, what in ((EMBED, "the table of its embeddings"), (PICTURES, "an image side, which says how it is asked")):
        if part not in made:
            raise UsageError(
                f"expected --{part}, {what}, for the model in {folders[LANGUAGE]} takes {EMBEDS}, found none"
            )
    _check_features(spliced_prompts_of(made[PICTURES], folders[PICTURES]), made, folders)


def _check_codes(prompts: Prompts, made: Mapping[str, Manifest], folders: Mapping[str, Path]) -> None:
    family = spec_of(made[PICTURES].family) if PICTURES in made else None
    if EMBED in made or (family is not None and family.spliced_prompts):
        part = EMBED if EMBED in made else PICTURES
        raise UsageError(
            f"expected a language model that takes {EMBEDS} beside {made[part].component} in {folders[part]}, found "
            f"one of {IDS} in {folders[LANGUAGE]}; convert it with --inputs embeds"
        )
    if PICTURES in made:
        for given, found in ((prompts.pixels, prompts.codes), (prompts.codes, prompts.pixels)):
            component_with(made[PICTURES], given, found, folders[PICTURES])


def _check_features(prompts: TalkPrompts, made: Mapping[str, Manifest], folders: Mapping[str, Path]) -> None:
    seen = component_with(made[PICTURES], prompts.pixels, prompts.codes, folders[PICTURES]).signature
    (rows,) = embedding_of(made[EMBED], folders[EMBED]).signature.outputs
    widths = {
        LANGUAGE: _width(made[LANGUAGE], EMBEDS),
        EMBED: rows.shape[-1],
        PICTURES: next(spec.shape[-1] for spec in seen.outputs if spec.name == prompts.codes),
    }
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{width} in {folders[part]}" for part, width in widths.items())
        raise UsageError(f"expected one width of all embeddings and features, found {told}")
    own, table = rows_of(made[LANGUAGE].components), rows_of(made[EMBED].components)
    if own not in (None, table):
        raise UsageError(f"expected {own:,} embeddings in {folders[EMBED]}, as the model has tokens, found {table:,}")


def _width(made: Manifest, name: str) -> int | str | None:
    found = (spec.shape[-1] for part in made.components for spec in part.signature.inputs if spec.name == name)
    return next(found, None)
