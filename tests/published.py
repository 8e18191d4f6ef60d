"""Small files of seeded arrays, as MiniGPT-4 and LLaVA are published: names and shapes are written down here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lwmport.types import Array

WIDTH, INNER, LAYERS, SIDE, PATCH, LANGUAGE = 32, 48, 2, 28, 14, 20
"""Sizes of the configuration ``debug`` of both families."""

QUERIES, Q_WIDTH, Q_INNER = 3, 24, 40
POSITIONS = (SIDE // PATCH) ** 2 + 1


def made(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape, np.float32) * np.float32(0.2) for name, shape in shapes.items()}


def linear(name: str, out: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inputs), f"{name}.bias": (out,)}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def eva(layers: int = LAYERS + 1) -> dict[str, Array]:
    """``eva_vit_g.pth``: one block more than is computed, and the end of a model of CLIP."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, POSITIONS, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
    }
    for layer in range(layers):
        block = f"blocks.{layer}"
        shapes |= {
            **norm(f"{block}.norm1", WIDTH),
            **norm(f"{block}.norm2", WIDTH),
            f"{block}.attn.q_bias": (WIDTH,),
            f"{block}.attn.v_bias": (WIDTH,),
            f"{block}.attn.qkv.weight": (3 * WIDTH, WIDTH),
            **linear(f"{block}.attn.proj", WIDTH, WIDTH),
            **linear(f"{block}.mlp.fc1", INNER, WIDTH),
            **linear(f"{block}.mlp.fc2", WIDTH, INNER),
        }
    return made({**shapes, **norm("norm", WIDTH), **linear("head", 10, WIDTH)}, 1)


def blip2() -> dict[str, Array]:
    """``blip2_pretrained_flant5xxl.pth`` under ``model``: the norm, the queries, the Q-Former, a projection for T5."""
    shapes: dict[str, tuple[int, ...]] = {"query_tokens": (1, QUERIES, Q_WIDTH), **norm("ln_vision", WIDTH)}
    shapes |= norm("Qformer.bert.embeddings.LayerNorm", Q_WIDTH)
    for layer in range(2):
        start = f"Qformer.bert.encoder.layer.{layer}"
        for kind, seen in (("attention", Q_WIDTH), *([("crossattention", WIDTH)] if layer == 0 else [])):
            shapes |= linear(f"{start}.{kind}.self.query", Q_WIDTH, Q_WIDTH)
            shapes |= linear(f"{start}.{kind}.self.key", Q_WIDTH, seen) | linear(
                f"{start}.{kind}.self.value", Q_WIDTH, seen
            )
            shapes |= linear(f"{start}.{kind}.output.dense", Q_WIDTH, Q_WIDTH)
            shapes |= norm(f"{start}.{kind}.output.LayerNorm", Q_WIDTH)
        shapes |= linear(f"{start}.intermediate_query.dense", Q_INNER, Q_WIDTH)
        shapes |= linear(f"{start}.output_query.dense", Q_WIDTH, Q_INNER)
        shapes |= norm(f"{start}.output_query.LayerNorm", Q_WIDTH)
    return made({**shapes, **linear("t5_proj", 8, Q_WIDTH)}, 2)


def projection(width: int = Q_WIDTH, language: int = LANGUAGE) -> dict[str, Array]:
    """``pretrained_minigpt4_7b.pth`` under ``model``."""
    return made(linear("llama_proj", language, width), 3)


def saved(path: Path, arrays: Mapping[str, Any], beside: Mapping[str, Any] | None = None, **how: Any) -> Path:
    """Write arrays as ``torch.save`` does; with ``beside`` they are the ``model`` of a training."""
    import torch

    tensors = {name: torch.from_numpy(one) if isinstance(one, np.ndarray) else one for name, one in arrays.items()}
    torch.save(tensors if beside is None else {"model": tensors, **beside}, path, **how)
    return path


def minigpt4(folder: Path, **projected: int) -> Path:
    """A folder with the three files of MiniGPT-4's image side."""
    folder.mkdir(parents=True, exist_ok=True)
    saved(folder / "eva_vit_g.pth", eva())
    saved(folder / "blip2_pretrained_flant5xxl.pth", blip2(), {})
    saved(folder / "pretrained_minigpt4_7b.pth", projection(**projected), {"epoch": 3})
    return folder


def tower(layers: int = 3) -> dict[str, Array]:
    """CLIP's tower by the names behind ``vision_model.``."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.class_embedding": (WIDTH,),
        "embeddings.patch_embedding.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.position_embedding.weight": (POSITIONS, WIDTH),
        **norm("pre_layrnorm", WIDTH),
        **norm("post_layernorm", WIDTH),
    }
    for layer in range(layers):
        start = f"encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= linear(f"{start}.self_attn.{name}", WIDTH, WIDTH)
        shapes |= norm(f"{start}.layer_norm1", WIDTH) | norm(f"{start}.layer_norm2", WIDTH)
        shapes |= linear(f"{start}.mlp.fc1", INNER, WIDTH) | linear(f"{start}.mlp.fc2", WIDTH, INNER)
    return made(shapes, 4)


def projector(language: int = LANGUAGE) -> dict[str, Array]:
    """LLaVA's projector by the names of transformers."""
    return made({**linear("linear_1", language, WIDTH), **linear("linear_2", language, language)}, 5)


def language_model(width: int = LANGUAGE) -> dict[str, Array]:
    """A LLaMA of one layer by the names of transformers."""
    layer = "model.layers.0"
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (16, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (16, width),
        f"{layer}.input_layernorm.weight": (width,),
        f"{layer}.post_attention_layernorm.weight": (width,),
        **{f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"},
        **{f"{layer}.mlp.{name}_proj.weight": (24, width) for name in ("gate", "up")},
        f"{layer}.mlp.down_proj.weight": (width, 24),
    }
    return made(shapes, 6)


VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
}
TEXT = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 16,
    "hidden_size": LANGUAGE,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "rms_norm_eps": 1e-5,
}
LLAVA = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "image_token_index": 15,
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "projector_hidden_act": "gelu",
    "text_config": TEXT,
    "vision_config": VISION,
}
OWN = {
    **{name: value for name, value in TEXT.items() if name != "architectures"},
    "architectures": ["LlavaLlamaForCausalLM"],
    "model_type": "llava",
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "mm_hidden_size": WIDTH,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_layer": -2,
    "mm_vision_select_feature": "patch",
}


def prefixed(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {prefix + name: array for name, array in arrays.items()}


def in_transformers_4() -> dict[str, Array]:
    """A folder of LLaVA as transformers 4 wrote it."""
    return {
        **prefixed("vision_tower.vision_model.", tower()),
        **prefixed("multi_modal_projector.", projector()),
        **prefixed("language_model.", language_model()),
    }


def in_transformers_5() -> dict[str, Array]:
    """The same as transformers 5 calls it."""
    text = {
        name.replace("model.", "model.language_model.", 1) if name.startswith("model.") else name: array
        for name, array in language_model().items()
    }
    return {
        **prefixed("model.vision_tower.", tower()),
        **prefixed("model.multi_modal_projector.", projector()),
        **text,
    }


def in_llava(*, with_tower: bool) -> dict[str, Array]:
    """LLaVA's own checkpoint, with the tower or without."""
    seen = prefixed("model.vision_tower.vision_tower.vision_model.", tower()) if with_tower else {}
    return {**seen, **own_projector(), **language_model()}


def own_projector(language: int = LANGUAGE) -> dict[str, Array]:
    """``mm_projector.bin``."""
    return {
        name.replace("linear_1", "model.mm_projector.0").replace("linear_2", "model.mm_projector.2"): array
        for name, array in projector(language).items()
    }


def folder(path: Path, arrays: Mapping[str, Array], config: Mapping[str, Any]) -> Path:
    """Write a folder of Hugging Face."""
    path.mkdir(parents=True, exist_ok=True)
    if arrays:
        save_file(dict(arrays), path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    return path


def in_two(path: Path, arrays: Mapping[str, Array], config: Mapping[str, Any], stem: str) -> Path:
    """Write a folder whose weights lie in two files with an index: ``stem`` is ``model`` or ``pytorch_model``.

    Every second tensor is in each: no part of the model lies in one file.
    """
    folder(path, {}, config)
    suffix = {"model": "safetensors", "pytorch_model": "bin"}[stem]
    names = sorted(arrays)
    shards = {f"{stem}-0000{number}-of-00002.{suffix}": names[number - 1 :: 2] for number in (1, 2)}
    for file, held in shards.items():
        part = {name: arrays[name] for name in held}
        saved(path / file, part) if stem == "pytorch_model" else save_file(part, path / file)
    index = {"weight_map": {name: file for file, held in shards.items() for name in held}}
    (path / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return path
