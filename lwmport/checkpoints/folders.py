"""What a folder is, told by the files in it: one of a checkpoint, or what it is instead and what to do."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lwmport.checkpoints.plain_json import read_object
from lwmport.errors import CheckpointError
from lwmport.wording import few, shown

ADAPTER: Final = "adapter_config.json"
"""What PEFT writes beside an adapter."""

ORBAX: Final = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt")
"""What Orbax writes at the top of a tree of arrays, one of which is always there (orbax/checkpoint)."""

ITEMS: Final = ("default", "state", "params", "items", "train_state", "model")
"""Folders in which Orbax's managers keep the arrays of a step."""

LOOKED_AT: Final = 10_000
"""Files of a folder that are looked at."""


def kind_of_folder(folder: Path) -> str:
    """Return the format of a folder, a name of `lwmport.checkpoints.opening.FOLDERS`: of several files if of no other.

    Raises:
        CheckpointError: it is an adapter; the message says what to do.
    """
    if (folder / "config.json").exists():
        return "hf"
    if (folder / ADAPTER).exists():
        raise CheckpointError(f"expected a checkpoint, found a LoRA adapter{_base_of(folder)}")
    if is_orbax(folder):
        return "orbax"
    return "parts"


def no_checkpoint(folder: Path) -> CheckpointError:
    """Return what to raise for a folder that is none of a checkpoint: what it is, and what to do."""
    names = _names(folder)
    found = next((text for look in _LOOKS if (text := look(folder, names))), "")
    return CheckpointError(f"expected a file, a Hugging Face folder or an Orbax folder, found {found}")


def is_orbax(folder: Path) -> bool:
    """Return whether Orbax or Flax has written the arrays of a folder: OCDBT, or one zarr array for each."""
    if any((folder / name).exists() for name in ORBAX[1:]) or _zarr(folder):
        return True
    return (folder / ORBAX[0]).exists() and not any(is_orbax(folder / name) for name in ITEMS)


def _zarr(folder: Path) -> bool:
    return any(next(folder.glob(f"*/{name}"), None) is not None for name in (".zarray", "zarr.json"))


def _base_of(folder: Path) -> str:
    """Return of which model an adapter says that it is, and what to do."""
    try:
        base = read_object(folder / ADAPTER).get("base_model_name_or_path")
    except CheckpointError:
        base = None
    of = f" of {shown(base)}" if isinstance(base, str) and base else ""
    return (
        f"{of}, which holds changes of a model alone; name the model beside it: --checkpoint BASE --adapter "
        f"{folder}; or merge it: lwmport checkpoint convert BASE --adapter {folder} --to hf --out MERGED"
    )


def _names(folder: Path) -> list[str]:
    found = []
    for number, path in enumerate(folder.iterdir()):
        if number >= LOOKED_AT:
            break
        found.append(path.name)
    return sorted(found)


def _empty(_: Path, names: list[str]) -> str:
    return "" if names else "a folder that is empty"


def _steps(folder: Path, _: list[str]) -> str:
    """A manager of Orbax keeps each step in a folder of its number, and each item of one in a folder of its name."""
    items = [name for name in ITEMS if (folder / name).is_dir() and is_orbax(folder / name)]
    if items:
        return f"a step of an Orbax checkpoint with {few(items)}; name {folder / items[0]}"
    steps = sorted((path for path in folder.iterdir() if re.fullmatch(r"(\w+_)?\d+", path.name) and path.is_dir()),
                   key=lambda path: int(path.name.rpartition("_")[2]))  # fmt: skip
    inner = [(step, name) for step in steps for name in ("", *ITEMS) if is_orbax(step / name)]
    if not inner:
        return ""
    last, name = inner[-1]
    told = few(step.name for step in dict.fromkeys(step for step, _ in inner))
    return f"the steps {told} of an Orbax checkpoint; name one of them, such as {last / name}"


def _shards(_: Path, names: list[str]) -> str:
    weights = [name for name in names if re.fullmatch(r"(pytorch_model|model)[-\w]*\.(bin|safetensors)", name)]
    if not weights:
        return ""
    return f"a folder without config.json, which tells the heads, with {few(weights)}; download it into the same folder"


def _tensorflow(_: Path, names: list[str]) -> str:
    if any(name.startswith("saved_model.pb") for name in names):
        return "a SavedModel, which is a program and no checkpoint; 'lwmport inspect' shows it"
    if any(name.endswith(".index") for name in names) and any(".data-" in name for name in names):
        return "a checkpoint of TensorFlow, which is not read; save its variables as safetensors"
    return ""


def _ours(_: Path, names: list[str]) -> str:
    models = "manifest.json" in names or {"model.json", "language"} <= set(names)
    written = "models that 'lwmport convert' or 'lwmport assemble' wrote"
    return f"{written}; name the checkpoint that they were made of" if models else ""


def _gguf(folder: Path, names: list[str]) -> str:
    found = [name for name in names if name.endswith(".gguf")]
    return f"a folder with {few(found)}; name the file, such as {folder / found[0]}" if found else ""


def _others(_: Path, names: list[str]) -> str:
    return f"a folder without config.json, with {few(map(shown, names))}; name the file that holds the tensors"


_LOOKS: Final[tuple[Callable[[Path, list[str]], str], ...]] = (
    _empty,
    _steps,
    _ours,
    _tensorflow,
    _shards,
    _gguf,
    _others,
)
"""What a folder may be, and what to do, the first that fits."""

DESCRIBED: Final[Mapping[str, str]] = {
    "hf": "a Hugging Face folder",
    "orbax": "an Orbax folder",
    "parts": "a folder of released files",
}
"""Format of a folder -> what it is in words."""
