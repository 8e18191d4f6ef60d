"""From one checkpoint format to another, tensor by tensor: LWM's own, safetensors and Hugging Face, there and back."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport.atomic import PREFIX, new_folder
from lwmport.checkpoints import sidecar
from lwmport.checkpoints.adapted import base_and_adapter, with_adapter
from lwmport.checkpoints.description import component_of
from lwmport.checkpoints.feeders import with_its_feeders
from lwmport.checkpoints.huggingface.marker import marked
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.layers import LazyWeights
from lwmport.checkpoints.lora import Adapter, open_adapter
from lwmport.checkpoints.model_weights import advised, fitting
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.told_config import check_agrees, config_choices, told_config
from lwmport.checkpoints.unstacked import layered
from lwmport.checkpoints.writers.safetensors_folder import SHARD_BYTES, write_sharded
from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.converters.hf.tensors import items
from lwmport.disk import check_room
from lwmport.errors import UsageError
from lwmport.models.families import USUAL, Family, family_with, is_file, resolve
from lwmport.models.options import Options
from lwmport.models.specs import FAMILIES
from lwmport.pipeline.checkpoint.make import DTYPES
from lwmport.pipeline.checkpoint.trees import arranged, restacked, retyped
from lwmport.pipeline.convert import resume
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_apart
from lwmport.registry import check_known
from lwmport.types import Weights

HF: Final = "hf"
FORMATS: Final = (*WRITERS, HF)
"""What a checkpoint can be converted to; `HF` is a folder, the others are files."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a checkpoint is to become.

    Attributes:
        form: one of `FORMATS`.
        dtype: of every tensor, or None for each its own.
        component: the model; None for what the names of the tensors say.
        config: the name of a configuration, or the path of one in JSON; a Hugging Face folder has its own.
        settings: changes of it, ``field=value`` each.
        stacked: whether the layers become one tensor; None for as they are (one each in Hugging Face's).
        axis: of the layers in what is written, 0 or 1; None for as it is.
        shard_bytes: bytes of a file in a folder.
        adapter: the folder of a LoRA adapter that is merged into the model; None for none.

    Raises:
        UsageError: an unknown format or dtype, or what does not go together.
    """

    form: str
    dtype: str | None = None
    component: str | None = None
    config: str | None = None
    settings: tuple[str, ...] = ()
    stacked: bool | None = None
    axis: int | None = None
    shard_bytes: int = SHARD_BYTES
    adapter: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together, and give everything that has a name its one name."""
        settle(self)
        check_known("checkpoint format", self.form, FORMATS)
        if self.dtype is not None:
            check_known("dtype", self.dtype, DTYPES)
        if self.form == HF and (self.stacked or self.axis is not None):
            raise UsageError("expected one tensor a layer for --to hf, found --stacked or --axis; leave it out")
        if self.axis is not None and self.stacked is False:
            raise UsageError("expected --axis with stacked layers, found --unstacked; leave one out")


def convert(source: str, out: Path, conversion: Conversion, observer: Observer | None = None) -> Weights:
    """Write a checkpoint in another format and return what was written; the same tensors have the same bits.

    Raises:
        CheckpointError: the source cannot be read, does not fit its model, or a value does not fit the dtype.
        ConfigError: the checkpoint contradicts the configuration.
        UsageError: the request contradicts the source, or ``out`` is one of the files that are read.
        PortError: the files cannot be written.
    """
    asked = family_with(conversion.component).name if conversion.component else ""
    base, folder = base_and_adapter(source, conversion.adapter)
    source, conversion = str(base), replace(conversion, adapter=folder)
    adapter = None if conversion.adapter is None else open_adapter(conversion.adapter)
    checkpoint = open_checkpoint(source, asked)
    named = conversion.config
    read = [checkpoint.path, sidecar.path_beside(checkpoint.path), *([Path(named)] if named and is_file(named) else [])]
    check_apart(out, *read, *([conversion.adapter] if conversion.adapter else []))
    observer = observer or Silent()
    merging = f", with the LoRA adapter {conversion.adapter}," if conversion.adapter else ""
    observer.phase(f"convert {checkpoint.source['description']}{merging} to {conversion.form}: {out}")
    component = conversion.component or component_of(checkpoint)
    if component is None and adapter is not None:
        raise UsageError(f"expected --component beside --adapter, found no model that {source} is known as")
    if component is None or (conversion.component is None and adapter is None and _is_part(component, conversion)):
        return _unknown(checkpoint, out, conversion, observer)
    family, is_told = _family(component, checkpoint, conversion)
    if conversion.form == HF:
        return _folder(family, checkpoint, (out, adapter), conversion, observer)
    sidecar.check_free(out)
    wanted = _wanted(family, component, conversion)
    known = checkpoint.random if checkpoint.random and checkpoint.random.whole and adapter is None else None

    def beside(file: Path) -> None:
        seed = known.seed if known else None
        sidecar.write_beside(open_checkpoint(file), family.spec.name, wanted.config, seed)

    weights = _arranged(family, wanted, (checkpoint, adapter), conversion)
    return _file(weights, out, conversion.form, observer, beside if is_told else None)


def _is_part(component: str, conversion: Conversion) -> bool:
    """Return whether a file may be a part of a model, which is written as it is where nobody says what it must hold."""
    return family_with(component).released is not None and conversion.form != HF and not conversion.config


def _unknown(checkpoint: Checkpoint, out: Path, conversion: Conversion, observer: Observer) -> Weights:
    """Convert what no tensor tells the family of: nothing to stack, nothing to rename."""
    if conversion.form == HF or conversion.stacked is not None or conversion.axis is not None:
        marks = ", ".join(tensor for spec in FAMILIES.values() for tensor in spec.marks)
        raise UsageError(
            f"expected one of the tensors {marks} for --to hf, --stacked, --unstacked and --axis, found none of them "
            f"in {checkpoint.source['description']}; name the model with --component"
        )
    return _file(retyped(checkpoint, conversion.dtype), out, conversion.form, observer)


def _family(component: str, checkpoint: Checkpoint, conversion: Conversion) -> tuple[Family, bool]:
    """Return what the checkpoint is, settled by its tensors and held against them, and whether all of it was told.

    A file becomes another file without what no tensor tells; a folder does not.
    """
    spec, settings = family_with(component), conversion.settings
    try:
        told = told_config(spec, component, checkpoint, conversion.config or USUAL, settings)
    except UsageError:
        if conversion.config or conversion.adapter or conversion.form == HF or spec.stacking is None:
            raise
        told = None
    config = told.config if told else spec.stacking.assumed if spec.stacking else USUAL
    with advised(component, checkpoint.specs):
        family = with_its_feeders(resolve(component, config, Options(settings=settings), checkpoint.specs), checkpoint)
        if told:
            check_agrees(spec, told, family.config, settings)
            family = replace(family, choices=config_choices(family, told, settings, checkpoint.specs))
        fitting(family, checkpoint)
    return family, told is not None


def _wanted(family: Family, component: str, conversion: Conversion) -> Family:
    """Return the model as it is to be written: its layers stacked or not."""
    stacked = True if conversion.axis is not None and conversion.stacked is None else conversion.stacked
    return restacked(family, component, stacked=stacked, axis=conversion.axis)


def _layers(family: Family, checkpoint: Checkpoint, adapter: Adapter | None, dtype: str | None) -> LazyWeights:
    """Return the tensors of a model, one a layer, with what an adapter adds to them."""
    return layered(family, checkpoint, dtype) if adapter is None else with_adapter(family, checkpoint, adapter, dtype)


def _arranged(
    family: Family, wanted: Family, given: tuple[Checkpoint, Adapter | None], conversion: Conversion
) -> Weights:
    """Return the tensors as they are to be: as they are if nothing else is asked for."""
    checkpoint, adapter = given
    if adapter is None and (wanted.config == family.config or not (wanted.sources or family.sources)):
        return retyped(checkpoint, conversion.dtype)
    layers = _layers(family, checkpoint, adapter, conversion.dtype)
    return arranged(wanted, layers) if family.spec.weights else layers


def _file(
    weights: Weights, out: Path, form: str, observer: Observer, beside: Callable[[Path], None] | None = None
) -> Weights:
    total = sum(spec.nbytes for spec in weights.specs.values())
    write_checkpoint(weights, out, form, lambda name, done: observer.progress(name, done, total), beside)
    return weights


def _folder(
    family: Family,
    checkpoint: Checkpoint,
    given: tuple[Path, Adapter | None],
    conversion: Conversion,
    observer: Observer,
) -> Weights:
    """Write a Hugging Face folder; what an interrupted run of the same conversion has written is not written again."""
    out, adapter = given
    if os.path.lexists(out) and (not out.is_dir() or any(not entry.name.startswith(PREFIX) for entry in out.iterdir())):
        raise UsageError(f"expected a folder that is new or empty, found {out}; remove it or name another")
    folder = family.spec.huggingface
    if folder is None:
        raise UsageError(f"expected a model that Hugging Face has a folder for with --to hf, found {family.name}")
    weights = _layers(family, checkpoint, adapter, conversion.dtype)
    tensors = items(folder, family.config, weights)
    total = sum(item.spec.nbytes for item in tensors)
    facts = {"dtype": conversion.dtype, "shard_bytes": conversion.shard_bytes, "config": dict(family.config)}
    facts = facts if adapter is None else {**facts, "adapter": adapter.digest()}
    identity = resume.identity(facts, checkpoint)
    check_room(out, total - resume.done_bytes(out, identity))
    with resume.told(out, identity), new_folder(out, request=identity) as scratch:
        write_sharded(tensors, scratch, conversion.shard_bytes, lambda name, done: observer.progress(name, done, total))
        texts = folder.documents(family.config, tensors[0].spec.dtype)
        for name, text in marked(texts, family.choices, checkpoint.source).items():
            (scratch / name).write_text(text, encoding="utf-8")
    return weights
