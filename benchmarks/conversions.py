"""How each converter is called: the same checkpoint in, one model file a half out, under the same names."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from own import convert_own, prepare_own
from processes import Converter

from lwmport.types import Array, Component

HALVES = ("encoder", "decoder")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to convert, from where to where."""

    halves: tuple[str, ...]
    config: str
    checkpoint: str
    out: str


def model_file(out: str | Path, half: str, suffix: str = ".onnx") -> Path:
    """Return where the model of a half is written: the command line's own name."""
    return Path(out) / f"vqgan-{half}{suffix}"


def components(config: str, halves: tuple[str, ...]) -> dict[str, Component]:
    """Return the component of each half."""
    from lwmport.models.families import resolve

    return {half: resolve(f"vqgan-{half}", config).components[0] for half in halves}


def read_weights(component: Component, checkpoint: str) -> dict[str, Array]:
    """Return every weight of a component."""
    from lwmport.checkpoints.opening import open_checkpoint

    opened = open_checkpoint(checkpoint)
    return {name: np.asarray(opened.read(name)) for name in component.weights}


def _prepare_own_tflite() -> None:
    prepare_own()
    import lwmport.converters.tflite.convert  # noqa: F401


def _prepare_own_saved_model() -> None:
    prepare_own()
    from lwmport import extras

    extras.require("tensorflow")


def _convert_own(job: Job, form: str = "onnx") -> None:
    name = "vqgan" if len(job.halves) > 1 else f"vqgan-{job.halves[0]}"
    arguments = ["--component", name, "--to", form, "--config", job.config]
    convert_own([*arguments, "--checkpoint", job.checkpoint, "--out", job.out])


def _prepare_jax2onnx() -> None:
    import jax
    import jax2onnx

    jax2onnx.to_onnx(lambda x: x + 1, [jax.ShapeDtypeStruct((1,), "float32")])


def _convert_jax2onnx(job: Job) -> None:
    """Convert as jax2onnx does by default; it knows no composite, so their decompositions are traced."""
    with _inlined_composites():
        _to_onnx(job, normalization_mode="auto")


def _convert_jax2onnx_native(job: Job) -> None:
    """Convert as jax2onnx does best: GroupNorm is flax's own class, for which it has a native operator."""
    from flax import linen as nn

    from lwmport.models import layers
    from lwmport.models.group_norm import GROUPS
    from lwmport.models.vqgan import network as vqgan

    def group_norm(**names: str) -> nn.GroupNorm:
        return nn.GroupNorm(num_groups=GROUPS, epsilon=layers.EPSILON, **names)

    with _inlined_composites(), mock.patch.object(vqgan, "GroupNorm", group_norm):
        _to_onnx(job, normalization_mode="prefer_native", opset=21)


def _to_onnx(job: Job, **options: Any) -> None:
    import jax
    import jax2onnx

    for half, component in components(job.config, job.halves).items():
        weights = read_weights(component, job.checkpoint)
        (spec,) = component.signature.inputs
        outputs = [spec.name for spec in component.signature.outputs]

        def function(x: Any, apply: Any = component.apply, given: Any = weights, name: str = spec.name) -> Any:
            return tuple(apply(given, {name: x}).values())

        jax2onnx.to_onnx(
            function,
            [jax.ShapeDtypeStruct((1, *spec.shape[1:]), spec.dtype)],
            input_names=[spec.name],
            output_names=outputs,
            return_mode="file",
            output_path=str(model_file(job.out, half)),
            **options,
        )


@contextlib.contextmanager
def _inlined_composites() -> Iterator[None]:
    """Trace the decomposition wherever the model asks for a composite."""
    with mock.patch("jax.lax.composite", lambda decomposition, **_: decomposition):
        yield


def _prepare_official() -> None:
    from lwmport import extras

    extras.require("tensorflow")


def _convert_official(job: Job) -> None:
    """Convert as JAX's own documents say: jax2tf, then TFLiteConverter."""
    from jax.experimental import jax2tf

    from lwmport import extras

    tf = extras.require("tensorflow")
    for half, component in components(job.config, job.halves).items():
        weights = read_weights(component, job.checkpoint)
        (spec,) = component.signature.inputs

        def function(x: Any, apply: Any = component.apply, given: Any = weights, name: str = spec.name) -> Any:
            return apply(given, {name: x})

        with _inlined_composites():
            traced = tf.function(
                jax2tf.convert(function),
                input_signature=[tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name=spec.name)],
                autograph=False,
            )
            module = tf.Module()
            module.call = traced
            concrete = traced.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        model_file(job.out, half, ".tflite").write_bytes(converter.convert())


def _prepare_torch() -> None:
    import torch
    import torch_twin  # noqa: F401

    torch.onnx.export(torch.nn.SiLU(), (torch.zeros(1),), dynamo=True, verbose=False)


def _convert_torch(job: Job) -> None:
    import torch
    import torch_twin

    from lwmport.models.vqgan.config import VQGANConfig

    for half, component in components(job.config, job.halves).items():
        twin = torch_twin.build(half, VQGANConfig.from_json(component.config), read_weights(component, job.checkpoint))
        (spec,) = component.signature.inputs
        example = torch.zeros((1, *spec.shape[1:]), dtype=getattr(torch, spec.dtype))
        torch.onnx.export(
            twin,
            (example,),
            model_file(job.out, half),
            dynamo=True,
            verbose=False,
            external_data=True,
            input_names=[spec.name],
            output_names=[spec.name for spec in component.signature.outputs],
        )


CONVERTERS: dict[str, Converter] = {
    "lwmport": Converter(prepare=prepare_own, convert=_convert_own),
    "lwmport-tflite": Converter(prepare=_prepare_own_tflite, convert=partial(_convert_own, form="tflite")),
    "lwmport-saved-model": Converter(
        prepare=_prepare_own_saved_model, convert=partial(_convert_own, form="saved_model")
    ),
    "official-tflite": Converter(prepare=_prepare_official, convert=_convert_official),
    "jax2onnx": Converter(prepare=_prepare_jax2onnx, convert=_convert_jax2onnx),
    "jax2onnx-native": Converter(prepare=_prepare_jax2onnx, convert=_convert_jax2onnx_native),
    "torch-export": Converter(prepare=_prepare_torch, convert=_convert_torch),
}
"""Contender -> its converter. A contender that runs the model itself has none."""
