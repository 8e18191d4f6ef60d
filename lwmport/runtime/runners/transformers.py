"""Hugging Face transformers: a folder that `lwmport.converters.hf` wrote, run as the component it was.

Quantised weights are read by compressed-tensors where they are of its kind and it is installed. Others are taken out of
the files by `lwmport.checkpoints.huggingface.packed`, and a plain model runs with them; its name says which it was.

The folder numbers words and codes in one vocabulary and keeps the channels of a head in another order; inputs and
outputs here are those of the component: separate vocabularies, LWM's channels.
"""

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.huggingface.packed import COMPRESSED, PackedFolder, packed_folder
from lwmport.errors import RunnerError, one_line
from lwmport.extras import require
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, TensorSpec, dtype_of

PAST: Final = "past_key_values"
OWN: Final = "lwm"
"""The entry of ``config.json`` that says how the vocabulary is divided."""

READ_BACK: Final = "transformers, weights read back"
"""What runs where quantised weights are not read by transformers itself."""

VECTOR_MATHS: Final = ("cos", "exp", "log", "sin", "sqrt", "tanh")
"""What language models compute by oneMKL's vector functions."""


class TransformersRunner(BaseRunner):
    """Runs a causal language model in the dtype of its weights, with float32 logits.

    Inputs and outputs are those of the component: logits float32 [batch, sequence, vocabulary] of each mode, and the
    longer caches.

    ``read_back``: let no package read quantised weights, and round nothing that is multiplied with them.

    Raises:
        RunnerError: transformers refuses the folder, or it was not written by this package.
        MissingExtraError: torch or transformers is not installed.
    """

    name = "transformers"

    def __init__(self, path: Path, threads: int, device: str = "cpu", *, read_back: bool = False) -> None:
        self._library = require("transformers")
        self._torch = require("torch")
        settle_kernels(self._torch)
        self._torch.set_num_threads(threads)
        self._library.utils.logging.disable_progress_bar()
        try:
            packed = packed_folder(path) if (path / "config.json").is_file() else None
            if packed is None or (packed.packing == COMPRESSED and not read_back and _is_installed()):
                model = self._opened(path, packed)
            else:
                self.name, model = READ_BACK, self._read_back(path, packed)
        except Exception as error:  # readers of JSON and of safetensors raise unrelated types
            raise RunnerError(f"transformers refused {path}: {one_line(error)}") from error
        self._model, self._device = model.eval().to(device), device
        self._tokens: dict[str, Any] = getattr(model.config, OWN, None) or {}
        if "text_vocab_size" not in self._tokens:
            raise RunnerError(f"expected {OWN!r} in {path / 'config.json'}, found none; was it written by lwmport?")
        self._dtype = str(model.dtype).removeprefix("torch.")
        self.inputs, self.outputs = self._specs(model.config)

    def _opened(self, path: Path, packed: PackedFolder | None) -> Any:
        """Return what transformers makes of a folder.

        With zero points it takes compressed-tensors only unpacked at once (llm-compressor, issue 1618).
        """
        unpacked = packed is not None and not packed.symmetric
        asked = {"quantization_config": self._library.CompressedTensorsConfig(dequantize=True)} if unpacked else {}
        with warnings.catch_warnings(action="ignore"):
            return self._library.AutoModelForCausalLM.from_pretrained(
                path, dtype="auto", attn_implementation="eager", local_files_only=True, **asked
            )

    def _read_back(self, path: Path, packed: PackedFolder) -> Any:
        """Return a plain model in float32 with the weights that the files hold."""
        config = self._library.AutoConfig.from_pretrained(path, local_files_only=True)
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        held = {f"{module}.weight": packed.matrix(module) for module in packed.quantised}
        held |= {name: packed.raw.read(name).astype(np.float32) for name in packed.others()}
        # The class of the configuration: AutoModelForCausalLM takes no weights without a folder.
        model = self._library.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        return model.from_pretrained(
            None,
            config=config,
            state_dict={name: self._torch.from_numpy(np.array(array)) for name, array in held.items()},
            dtype=self._torch.float32,
            attn_implementation="eager",
        )

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with self._torch.inference_mode():
            try:
                return self._generated(inputs)
            except (RuntimeError, IndexError, ValueError) as error:
                raise RunnerError(f"transformers failed on the inputs: {one_line(error)}") from error

    def _release(self) -> None:
        del self._model

    def _generated(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        cache = self._library.DynamicCache(config=self._model.config)
        for layer in range(self._model.config.num_hidden_layers):
            cache.update(*(self._past(inputs, layer, part) for part in ("key", "value")), layer)
        found = self._model(
            input_ids=self._tensor(self._merged(inputs)),
            attention_mask=self._tensor(inputs["attention_mask"]),
            position_ids=self._tensor(inputs["position_ids"]),
            past_key_values=cache,
            use_cache=True,
        )
        logits = found.logits.float().cpu().numpy()
        return {**self._split(logits), **self._present(found.past_key_values)}

    def _merged(self, inputs: Mapping[str, Array]) -> Array:
        """Return one number for each token: code c is ``first_code`` + c."""
        ids = inputs["input_ids"]
        if "vision_masks" not in inputs:
            return ids
        return np.where(inputs["vision_masks"], ids + self._tokens["first_code"], ids)

    def _split(self, logits: Array) -> dict[str, Array]:
        """Return the logits of each mode that the component gives."""
        if "first_code" not in self._tokens:
            return {"logits": logits}
        first = self._tokens["first_code"]
        parts = {"text": logits[..., :first], "vision": logits[..., first:]}
        return {f"{name}_logits": parts[name] for name in self._tokens["heads"]}

    def _past(self, inputs: Mapping[str, Array], layer: int, part: str) -> Any:
        array = inputs[f"{PAST}.{layer}.{part}"].astype(np.float32)
        return self._tensor(halves(array) if part == "key" else array).to(self._model.dtype)

    def _present(self, cache: Any) -> dict[str, Array]:
        found = {}
        for number, layer in enumerate(cache.layers):
            found[f"present.{number}.key"] = pairs(self._array(layer.keys))
            found[f"present.{number}.value"] = self._array(layer.values)
        return found

    def _tensor(self, array: Array) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _array(self, tensor: Any) -> Array:
        made: Array = tensor.float().cpu().numpy().astype(dtype_of(self._dtype))
        return made

    def _specs(self, config: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the inputs and the outputs."""
        tokens, context = ("batch", "sequence"), ("batch", "past + sequence")
        codes = [TensorSpec(name="vision_masks", shape=tokens, dtype="bool")] if "first_code" in self._tokens else []
        inputs = (
            TensorSpec(name="input_ids", shape=tokens, dtype="int64"),
            *codes,
            TensorSpec(name="attention_mask", shape=context, dtype="int64"),
            TensorSpec(name="position_ids", shape=tokens, dtype="int64"),
            *self._caches(config, PAST, "past"),
        )
        logits = [
            TensorSpec(name=name, shape=(*tokens, size), dtype="float32")
            for name, size in self._vocabularies(config).items()
        ]
        return inputs, (*logits, *self._caches(config, "present", "past + sequence"))

    def _caches(self, config: Any, prefix: str, length: str) -> list[TensorSpec]:
        shape = ("batch", config.num_key_value_heads, length, config.head_dim)
        return [
            TensorSpec(name=f"{prefix}.{layer}.{part}", shape=shape, dtype=self._dtype)
            for layer in range(config.num_hidden_layers)
            for part in ("key", "value")
        ]

    def _vocabularies(self, config: Any) -> dict[str, int]:
        """Return the size of the vocabulary of each output of logits."""
        if "first_code" not in self._tokens:
            return {"logits": config.vocab_size}
        first = self._tokens["first_code"]
        sizes = {"text": first, "vision": config.vocab_size - first}
        return {f"{name}_logits": sizes[name] for name in self._tokens["heads"]}


def open_model(path: Path, context: RunnerContext) -> TransformersRunner:
    """Return a Hugging Face folder of ours, ready to run on the CPU."""
    return TransformersRunner(path, context.threads)


def open_read_back(path: Path, context: RunnerContext) -> TransformersRunner:
    """Return a folder with quantised weights, which are read by nobody else's code."""
    return TransformersRunner(path, context.threads, read_back=True)


def _is_installed() -> bool:
    """Return whether transformers can read the weights of compressed-tensors here."""
    return importlib.util.find_spec("compressed_tensors") is not None


def settle_kernels(torch: Any) -> None:
    """Let oneMKL choose its kernel for each elementwise function, in one thread, before any is run in several.

    It chooses at a function's first call of a process; where two threads make that call at once, one of them may run a
    kernel of half the digits, for that call alone: 5e-4 off (oneMKL 2024.2 in PyTorch's wheels, pytorch issue 188792).
    """
    one = torch.ones(1)
    for name in VECTOR_MATHS:
        getattr(torch, name)(one)


def halves(keys: Array) -> Array:
    """Return keys [..., d] whose channels 2i and 2i + 1 belong together with them at i and i + d/2."""
    return np.concatenate([keys[..., 0::2], keys[..., 1::2]], axis=-1)


def pairs(keys: Array) -> Array:
    """Return keys [..., d] whose channels i and i + d/2 belong together with them at 2i and 2i + 1."""
    middle = keys.shape[-1] // 2
    return np.stack([keys[..., :middle], keys[..., middle:]], axis=-1).reshape(keys.shape)
