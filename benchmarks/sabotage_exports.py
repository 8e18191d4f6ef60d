"""The same component by another tool: torch.onnx.export of the VQGAN's twin and of transformers' own models."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.reopen import Converted

FOLDER = "by-torch"
TOWERS = {"minigpt4-vision": "vit_torch", "llava-vision": "clip_torch"}
"""Vision tower -> the module that exports transformers' own."""


def export(converted: Converted) -> Path:
    """Write PyTorch's export of what was converted into a folder beside it, and return the model file."""
    part = converted.parts[0]
    out = converted.folder / FOLDER / f"{part.name}.onnx"
    out.parent.mkdir()
    if part.name.startswith("vqgan"):
        _twin(converted, out)
    elif part.name in TOWERS:
        _tower(converted, out)
    else:
        _transformers(converted, out)
    return out


def _twin(converted: Converted, out: Path) -> None:
    import torch
    import torch_twin

    from lwmport.models.vqgan.config import VQGANConfig

    component = converted.component(out.stem)
    read = converted.component_weights(out.stem)
    weights = {name: np.asarray(read.read(name)) for name in component.weights}
    twin: Any = torch_twin.build(out.stem.removeprefix("vqgan-"), VQGANConfig.from_json(component.config), weights)
    (spec,) = component.signature.inputs
    torch.onnx.export(
        twin,
        (torch.zeros((1, *spec.shape[1:]), dtype=getattr(torch, spec.dtype)),),
        out,
        dynamo=True,
        verbose=False,
        external_data=True,
        input_names=[spec.name],
        output_names=[each.name for each in component.signature.outputs],
    )


def _tower(converted: Converted, out: Path) -> None:
    component, read = converted.component(out.stem), converted.component_weights(out.stem)
    weights = {name: np.asarray(read.read(name)) for name in component.weights}
    import_module(TOWERS[out.stem]).export(component.config, weights, out)


def _transformers(converted: Converted, out: Path) -> None:
    import llama_torch

    made, seed = converted.manifest, converted.manifest.weights["seed"]
    with tempfile.TemporaryDirectory(dir=out.parent) as work:
        folder = Path(work) / "folder"
        given = ConvertRequest(
            component=out.stem,
            format="hf",
            config=made.config,
            seed=seed,
            validate=False,
            out=folder,
        )
        convert(given)
        llama_torch.export(str(folder / f"{out.stem}.hf"), out)
