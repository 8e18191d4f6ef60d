"""What stands beside a model's tensors in a file of a training, and is stepped over: settings and states of its makers.

Each class is known by name. A stand-in is put in the place of its object: none is made, nothing is called.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from lwmport.checkpoints.pickle.values import Global, Unread

_CLASSES: Final = (
    ("argparse", "Namespace"),
    ("collections", "Counter"),
    ("collections", "defaultdict"),
    ("collections", "deque"),
    ("easydict", "EasyDict"),
    ("omegaconf.base", "ContainerMetadata"),
    ("omegaconf.base", "Metadata"),
    ("omegaconf.dictconfig", "DictConfig"),
    ("omegaconf.listconfig", "ListConfig"),
    *(
        ("omegaconf.nodes", f"{kind}Node")
        for kind in ("Any", "Boolean", "Bytes", "Enum", "Float", "Integer", "InterpolationResult", "Path", "String")
    ),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("torch", "Size"),
    ("torch", "device"),
    ("typing", "Any"),
)
_BUILTINS: Final = ("bool", "bytes", "dict", "float", "int", "list", "object", "set", "str", "tuple")
_DTYPES: Final = ("bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint8")
_NUMBERS: Final = (
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"),
)


def _stepped_over(_: tuple[object, ...], name: str) -> Unread:
    return Unread(name)


def _global(module: str, name: str) -> Global:
    full = f"{module}.{name}"
    return Global(full, partial(_stepped_over, name=full), unread=True)


UNREAD: Final[Mapping[tuple[str, str], Global]] = {
    (module, name): _global(module, name)
    for module, name in (
        *_CLASSES,
        *((module, name) for module in ("builtins", "__builtin__") for name in _BUILTINS),
        *(("torch", name) for name in _DTYPES),
        *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
        *_NUMBERS,
    )
}
"""What a file may name beside tensors: classes of settings, plain types, single numbers. Nothing of them is called."""
