"""The flags of LWM's own scripts on our command line.

Sources: LWM's lwm/vision_chat.py, lwm/vision_generation.py, lwm/llama.py and scripts/run_*.sh; tux, config.py.
"""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import UsageError
from lwmport.models.script_flags import Flags, ScriptFlag, fields_of, left_out, renamed, settings

PICTURES: Final = (".png", ".jpg")
"""What the name of a picture ends in; LWM takes every other file for a video."""


def _config(value: str) -> list[str]:
    """Return the configuration that ``--load_llama_config`` names: a size, or ``json::FILE``."""
    kind, separator, path = value.partition("::")
    if not separator:
        return [f"--config={value}"]
    if kind != "json":
        raise UsageError(
            f"expected a size or json::FILE as load_llama_config, found {kind}::; a pickle can run code and is not read"
        )
    return [f"--config={path}"]


def _asked_file(value: str) -> list[str]:
    return [f"{'--image' if value.endswith(PICTURES) else '--video'}={value}"]


def _one_frame(value: str) -> list[str]:
    if value != "1":
        raise UsageError(f"expected 1 as n_frames of a picture, found {value}; 'lwmport generate video' makes videos")
    return []


def field_flag(name: str) -> ScriptFlag:
    """Return the flag ``--llama.NAME``, which changes a field of the configuration."""

    def words(value: str) -> list[str]:
        try:
            found: Any = fields_of(f"dict(value={value})")["value"]
        except UsageError:
            found = {"true": True, "false": False}.get(value.lower(), value)
        return settings({name: found})

    return ScriptFlag(words=words)


_RUNS: Final = "it says how a model runs: 'lwmport chat' and 'lwmport generate' take it"
_MODEL: Final = "MODEL holds what was converted: 'lwmport convert' takes it"
_OTHER: Final = "a picture has no such number: 'lwmport generate video' takes it"
_MESH: Final = (
    "a converted model runs on one device; --ring N of 'lwmport convert' computes attention in a ring's order"
)
_PROCESSES: Final = "there is one process here"

_LOADED: Final = ("load_checkpoint", "load_llama_config", "update_llama_config", "dtype", "vqgan_checkpoint")
_RUN: Final = (
    *("prompt", "input_file", "max_n_frames", "temperature", "output_file", "n_frames"),
    *("temperature_image", "temperature_video", "top_k_image", "top_k_video", "cfg_scale_image", "cfg_scale_video"),
)

_CONVERT: Final[Flags] = {
    **{name: left_out(_RUNS) for name in _RUN},
    "load_checkpoint": renamed("--checkpoint"),
    "load_llama_config": ScriptFlag(words=_config),
    "update_llama_config": ScriptFlag(words=lambda value: settings(fields_of(value)) if value else []),
    "dtype": renamed("--precision"),
    "mesh_dim": left_out(_MESH),
    "vqgan_checkpoint": left_out("it is another model: lwmport convert --component vqgan --checkpoint FILE"),
}

_ASSEMBLE: Final[Flags] = {
    **_CONVERT,
    "load_checkpoint": renamed("--language"),
    "vqgan_checkpoint": renamed("--pictures"),
}

_GENERATE: Final[Flags] = {
    **{name: left_out(_MODEL) for name in (*_LOADED, "tokenizer")},
    "mesh_dim": left_out(_MESH),
    "output_file": renamed("--out"),
}

FLAGS: Final[Mapping[str, Flags]] = {
    "convert": _CONVERT,
    "port": _CONVERT,
    "assemble": _ASSEMBLE,
    "chat": {
        **{name: left_out(_MODEL) for name in (*_LOADED, "tokenizer")},
        "mesh_dim": left_out(_MESH),
        "prompt": ScriptFlag(words=lambda value: [value], argument=True),
        "input_file": ScriptFlag(words=_asked_file),
        "max_n_frames": renamed("--max-frames"),
    },
    "image": {
        **_GENERATE,
        "n_frames": ScriptFlag(words=_one_frame),
        "temperature_image": renamed("--temperature"),
        "top_k_image": renamed("--top-k"),
        "cfg_scale_image": renamed("--cfg-scale"),
        **{name: left_out(_OTHER) for name in ("temperature_video", "top_k_video", "cfg_scale_video")},
    },
    "video": {
        **_GENERATE,
        "n_frames": renamed("--frames"),
        "temperature_video": renamed("--temperature"),
        "top_k_video": renamed("--top-k"),
        "cfg_scale_video": renamed("--cfg-scale"),
        "temperature_image": renamed("--first-temperature"),
        "top_k_image": renamed("--first-top-k"),
        "cfg_scale_image": renamed("--first-cfg-scale"),
    },
}
"""Command -> the flags that it takes."""


def flag_of(command: str, name: str) -> ScriptFlag | None:
    """Return a flag of LWM's scripts on a command of ours; None where they have no such flag."""
    flags = FLAGS.get(command, {})
    group, dot, field = name.partition(".")
    if flags and dot and group == "jax_distributed":
        return left_out(_PROCESSES)
    if flags and dot and group == "llama":
        return field_flag(field) if flags in (_CONVERT, _ASSEMBLE) else left_out(_MODEL)
    return flags.get(name)
