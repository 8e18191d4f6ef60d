"""Checkpoints, GGUF files and LoRA adapters."""

import math
from pathlib import Path

from lwmport.checkpoints.description import described
from lwmport.checkpoints.folders import ADAPTER, DESCRIBED
from lwmport.checkpoints.gguf import read_header
from lwmport.checkpoints.lora import open_adapter, recorded_base
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError
from lwmport.models.specs import looks_like
from lwmport.pipeline.inspected.record import Inspection, told
from lwmport.wording import shown


def adapter_folder(path: Path) -> Inspection:
    """Return what a LoRA adapter is."""
    adapter, base = open_adapter(path), recorded_base(path)
    facts = {
        "base": str(adapter.config.get("base_model_name_or_path") or ""),
        "rank": str(adapter.config.get("r", "")),
        "alpha": str(adapter.config.get("lora_alpha", "")),
        "tensors": str(len(adapter.tensors.specs)),
    }
    source = str(path) if base else f"BASE --adapter {path}"
    return Inspection(
        kind="a LoRA adapter",
        path=path,
        facts=told({name: shown(value) for name, value in facts.items()}),
        bytes=adapter.tensors.total_bytes,
        next=(f"merge it into its model: lwmport checkpoint convert {source} --to hf --out MERGED",),
    )


def gguf_file(path: Path) -> Inspection:
    """Return what a GGUF file is."""
    header = read_header(path)
    architecture = header.keys.get("general.architecture", "")
    facts = {
        "version": str(header.version),
        "architecture": str(architecture),
        "name": str(header.keys.get("general.name", "")),
        "tensors": ", ".join(f"{count} {kind}" for kind, count in header.tensors.items()),
        **{
            name.removeprefix(f"{architecture}."): str(value)
            for name, value in header.keys.items()
            if architecture and name.startswith(f"{architecture}.") and not str(value).endswith(" values")
        },
    }
    return Inspection(
        kind="a GGUF file, for inference with ggml",
        path=path,
        facts=told({name: shown(value) for name, value in facts.items()}),
        bytes=path.stat().st_size,
        next=(
            f"convert it: lwmport convert --component {_component(path) or 'COMPONENT'} --to onnx --checkpoint {path}",
        ),
    )


def _component(path: Path) -> str:
    """Return the component that a GGUF file holds; nothing if it is none of ours."""
    try:
        return looks_like(open_checkpoint(path).specs)
    except CheckpointError:
        return ""


def checkpoint_at(text: str) -> Inspection:
    """Return what a checkpoint is, which may have a prefix."""
    found = open_checkpoint(text)
    component, known = looks_like(found.specs), described(found)
    facts = {
        "format": found.format,
        "tensors": f"{len(found.specs):,}",
        "parameters": f"{sum(math.prod(spec.shape) for spec in found.specs.values()):,}",
        "dtypes": ", ".join(dict.fromkeys(spec.dtype for spec in found.specs.values())),
        "looks like": component,
        "config": ", ".join(f"{name} {value}" for name, value in found.config.items()),
    }
    untold = component and not found.config and "beside" not in known
    config = f" --config {next(iter(known.get('fits', ())), 'NAME')}" if untold else ""
    line = f"convert it: lwmport convert --component {component or 'COMPONENT'} --to onnx --checkpoint {text}{config}"
    return Inspection(
        kind=DESCRIBED.get(found.format, f"a checkpoint ({found.format})"),
        path=found.path,
        facts=told(facts),
        bytes=found.total_bytes,
        checkpoint=found,
        known=known,
        next=(line,),
    )


def is_adapter(path: Path) -> bool:
    """Return whether a folder holds an adapter alone."""
    return (path / ADAPTER).is_file() and not (path / "config.json").exists()
