"""Runs LWM's own scripts on small seeded weights, and writes what they gave: ``python tools/lwm_golden.py FOLDER``.

It runs where LWM runs, in a Python of its own: with jax 0.4.29, flax 0.8.4, transformers 4.40.0 and numpy 1.26, and
clones of LargeWorldModel/LWM, haoliuhl/tux and haoliuhl/ringattention on ``PYTHONPATH``, beside this repository. What
runs is ``lwm/vision_chat.py`` and ``lwm/vision_generation.py``, from the reading of their checkpoint to their last
token. Stand-ins are: the flags, which are set here; the VQGAN, whose codes are given (`given_codes`); the video file,
whose frames are given; and the choice of tokens in the chat, which is greedy and which LWM draws.

The folder keeps a tokenizer of its own, if it has one. ``--seed`` makes other weights than those of `SEED`.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.types import WeightSpec

Array = NDArray[Any]

SEED: Final = 11
CONFIG: Final = {
    "vocab_size": 400, "vision_vocab_size": 8448, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_sequence_length": 8192, "initializer_range": 0.5, "theta": 50_000_000.0,
    "scan_layers": True,
}  # fmt: skip
BLOCKS: Final = {
    "scan_attention": False, "scan_query_chunk_size": 128, "scan_key_chunk_size": 128, "scan_mlp": False,
    "scan_mlp_chunk_size": 128,
}  # fmt: skip
MESH: Final = "!1,1,-1,1"

QUESTION: Final = "What is the video about?"
DESCRIPTION: Final = "Fireworks over the city"
LONG: Final = "A small boat on a wide, quiet lake; " * 8
SENTENCES: Final = [
    "You are a helpful assistant. USER: What is the video about? ASSISTANT:",
    "Generate an image of Fireworks over the city",
    "Generate a video of a small boat on a wide, quiet lake",
    "<vision> </vision>",
]
PIECES: Final = {
    "model_type": "bpe", "byte_fallback": True, "character_coverage": 1.0, "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False, "split_digits": True, "allow_whitespace_only_pieces": True, "pad_id": -1,
    "minloglevel": 2,
}  # fmt: skip
"""How LLaMA's own pieces were made."""

SETTINGS: Final = {
    "tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>",
    "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>", "clean_up_tokenization_spaces": False,
}  # fmt: skip

FRAMES: Final = 20
"""Frames of the video that is asked about, of which the script takes 2."""

PICTURE: Final = 77
"""The shade of grey of the picture that is asked about; frame n of the video has the shade n."""

GREEDY: Final = {"cfg_scale_image": 5.0, "cfg_scale_video": 2.0, "top_k_image": 1, "top_k_video": 1, "n_frames": 3}
DRAWN: Final = {"cfg_scale_image": 5.0, "cfg_scale_video": 1.0, "top_k_image": 8192, "top_k_video": 100, "n_frames": 2}


def given_codes(shade: int) -> Array:
    """Return the codes that the stand-in of the VQGAN gives a frame of one shade of grey, int64 [16, 16]."""
    words = np.random.Philox(key=shade).random_raw(256)
    return (words % 8192).astype(np.int64).reshape(16, 16)


class GivenCodes:
    """Stands for LWM's VQGAN."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take no checkpoint."""

    def encode(self, pixels: Array) -> tuple[None, Array]:
        """Return the codes of frames of one shade each."""
        shades = np.rint((pixels[:, 0, 0, 0] + 1) * 127.5).astype(int)
        return None, np.stack([given_codes(int(shade)) for shade in shades])

    def decode(self, codes: Array) -> Array:
        """Return black frames."""
        return np.full((*codes.shape[:-2], 16, 16, 3), -1, np.float32)


class GivenFrames:
    """Stands for a video reader: `FRAMES` frames, frame n of the shade n."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take no file."""

    def __len__(self) -> int:
        """Return how many frames there are."""
        return FRAMES

    def get_batch(self, places: list[int]) -> Any:
        """Return frames, as what has ``asnumpy``."""
        frames = np.asarray(places, np.uint8)[:, None, None, None] * np.ones((1, 300, 400, 3), np.uint8)
        return SimpleNamespace(asnumpy=lambda: frames)


def main() -> None:
    """Run the scripts and write their tokens."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds tokenizer/, and gets chat.npz and generation.npz")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    if not (asked.folder / "tokenizer").is_dir():
        make_tokenizer(asked.folder / "tokenizer")
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "lwm.stream"
        weights = seeded(asked.seed)
        save(weights, checkpoint)
        usual = {
            "load_checkpoint": f"params::{checkpoint}",
            "tokenizer": str(asked.folder / "tokenizer"),
            "mesh_dim": MESH,
            "vqgan_checkpoint": "given",
        }
        about = {
            "config": np.asarray(json.dumps(CONFIG)),
            "seed": np.asarray(asked.seed, np.int64),
            "weights_sha256": np.asarray(digest(weights)),
        }
        for name, run in (("chat", chat), ("generation", generation)):
            arrays: dict[str, Any] = {**about, **run(usual, Path(scratch))}
            np.savez_compressed(asked.folder / f"{name}.npz", **arrays)


def make_tokenizer(folder: Path) -> None:
    """Train a small tokenizer of LLaMA's kind, and save it as LWM's scripts read it."""
    folder.mkdir(parents=True)
    texts = (Path(__file__).parents[1] / "LICENSE").read_text(encoding="ascii").splitlines()
    import_module("sentencepiece").SentencePieceTrainer.train(
        sentence_iterator=iter([*texts, *SENTENCES * 20]),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=CONFIG["vocab_size"],
        **PIECES,
    )
    (folder / "tokenizer.vocab").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    import_module("transformers").AutoTokenizer.from_pretrained(folder).save_pretrained(folder)


def chat(usual: Mapping[str, Any], scratch: Path) -> dict[str, Array]:
    """Return the prompts and the answers of ``lwm/vision_chat.py``."""
    from PIL import Image

    vision_chat: Any = import_module("lwm.vision_chat")
    vision_chat.VQGAN = GivenCodes
    vision_chat.decord = SimpleNamespace(VideoReader=GivenFrames, cpu=lambda _: None)
    own = vision_chat.GenerationConfig
    vision_chat.GenerationConfig = lambda **fields: own(**{**fields, "do_sample": False})
    picture, video = scratch / "picture.png", scratch / "video.mp4"
    Image.fromarray(np.full((300, 400, 3), PICTURE, np.uint8)).save(picture)
    video.touch()
    found: dict[str, Array] = {}
    for name, path, frames in (("picture", picture, 1), ("video", video, 2)):
        calls = record(vision_chat)
        set_flags(vision_chat, **usual, **flags("text"), max_n_frames=frames)
        vision_chat.set_random_seed(vision_chat.FLAGS.seed)
        sampler = vision_chat.Sampler()
        (answer,) = sampler([{"input_path": str(path), "question": QUESTION}], frames)
        ((batch, tokens),) = calls
        found |= {f"{name}_{key}": np.asarray(value) for key, value in batch.items()}
        found |= {f"{name}_tokens": tokens, f"{name}_answer": np.asarray(answer)}
    return found


def generation(usual: Mapping[str, Any], scratch: Path) -> dict[str, Array]:
    """Return the prompts and the tokens of ``lwm/vision_generation.py``, greedy and drawn."""
    vision_generation: Any = import_module("lwm.vision_generation")
    vision_generation.VQGAN = GivenCodes
    found: dict[str, Array] = {}
    for name, words, own in (
        ("greedy", DESCRIPTION, GREEDY),
        ("drawn", DESCRIPTION, DRAWN),
        ("long", LONG, {**GREEDY, "n_frames": 1}),
    ):
        calls = record(vision_generation)
        out = scratch / ("out.png" if own["n_frames"] == 1 else "out.mp4")
        set_flags(vision_generation, **usual, **flags("vision"), **own, prompt=words, output_file=str(out))
        vision_generation.main([])
        for step, (batch, tokens) in zip(("image", "video"), calls, strict=False):
            found |= {f"{name}_{step}_{key}": np.asarray(value) for key, value in batch.items()}
            found[f"{name}_{step}_tokens"] = tokens
    return found


def flags(mode: str) -> dict[str, Any]:
    """Return the flags of the model."""
    given = {**CONFIG, **BLOCKS, "sample_mode": mode}
    return {"update_llama_config": f"dict({', '.join(f'{key}={value!r}' for key, value in given.items())})"}


def set_flags(script: Any, **values: Any) -> None:
    """Set flags of a script, and the others to what they are by default."""
    script.FLAGS = SimpleNamespace(**{**script.FLAGS_DEF, **values})


def record(script: Any) -> list[tuple[Mapping[str, Array], Array]]:
    """Return the list that every call of the script's model will be put into: its batch, and its new tokens."""
    import jax
    from jax.experimental.pjit import pjit

    calls = []

    def recorded(function: Any, **placed: Any) -> Any:
        compiled = pjit(function, **placed)

        def call(params: Any, random: Any, batch: Any, *rest: Any) -> Any:
            tokens, random = compiled(params, random, batch, *rest)
            calls.append((batch, jax.device_get(tokens).astype(np.int64)))
            return tokens, random

        return call

    script.pjit = recorded
    return calls


def seeded(seed: int) -> dict[str, Array]:
    """Return the weights, float32, one tensor a layer."""
    import jax
    import jax.numpy as jnp
    from flax.traverse_util import flatten_dict

    own: Any = import_module("lwm.vision_llama")
    config = own.VideoLLaMAConfig(**{**CONFIG, **BLOCKS, "scan_layers": False}, sample_mode="all", mesh_dim=MESH)
    ids = jnp.zeros((1, 4), "i4")
    rest = (ids, ids, ids, ids)
    tree = jax.eval_shape(own.FlaxVideoLLaMAForCausalLMModule(config).init, jax.random.PRNGKey(0), ids, *rest)["params"]
    specs = {name: WeightSpec(shape=leaf.shape, dtype="float32") for name, leaf in flatten_dict(tree, sep="/").items()}
    weights = SeededWeights(specs, seed)
    return {name: weights.read(name) for name in specs}


def save(weights: Mapping[str, Array], path: Path) -> None:
    """Write weights as LWM's stream, with the layers stacked."""
    from flax.traverse_util import unflatten_dict

    flat: dict[str, Any] = {}
    for name, value in weights.items():
        above, _, rest = name.partition("transformer/h/")
        if above or not rest:
            flat[name] = value
            continue
        _, _, inside = rest.partition("/")
        flat.setdefault(f"transformer/h/scan_decoder/{inside}", []).append(value)
    stacked = {name: np.stack(value) if isinstance(value, list) else value for name, value in flat.items()}
    tux: Any = import_module("tux")
    tux.StreamingCheckpointer.save_train_state_to_file(unflatten_dict(stacked, sep="/"), str(path))


def digest(weights: Mapping[str, Array]) -> str:
    """Return the SHA-256 of every name and its float32 bytes (little-endian), in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].astype("<f4").tobytes())
    return found.hexdigest()


def without_flags() -> None:
    """Let the scripts define their flags as plain values: both have some of the same name."""
    tux: Any = import_module("tux")
    tux.define_flags_with_default = lambda **values: (SimpleNamespace(**values), values)


if __name__ == "__main__":
    without_flags()
    main()
