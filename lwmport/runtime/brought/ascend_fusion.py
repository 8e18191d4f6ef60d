"""Which node of the model an output of the device's model is, told by ``atc --mode=1``: the compiler fuses nodes.

msit and msprobe leave that JSON in ``model/``. Each output of an operator there has the node whose output it is.
Source: Ascend/msprobe, msaccucmp, fusion_rule_parser.py and const_manager.py.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.listing import TEXT, File, front_of, text_of

NAME: Final = "_datadump_origin_name"
INDEX: Final = "_datadump_origin_output_index"

Origins = Mapping[tuple[str, int], tuple[str, int]]
"""(operator of the device's model, output) -> (node of the model, output)."""


def is_model(file: File) -> bool:
    """Return whether a file may be such a JSON."""
    return file.last.endswith(".json") and file.bytes <= TEXT and b'"graph"' in front_of(file, 4096)


def origins_in(file: File) -> Origins:
    """Return what each output of the device's model is in the model that was compiled.

    Raises:
        ArtifactError: the file is damaged.
    """
    try:
        told = json.loads(text_of(file))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{file.told}: expected JSON of atc --mode=1, found damage; copy it again") from error
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for operator in _objects(_at(told, "graph"), "op"):
        name = _at(operator, "name")
        for index, output in enumerate(_listed(_at(operator, "output_desc"))):
            told_of = {_at(one, "key"): _at(one, "value") for one in _listed(_at(output, "attr"))}
            origin, number = _at(told_of.get(NAME), "s"), _at(told_of.get(INDEX), "i")
            if isinstance(name, str) and isinstance(origin, str) and origin:
                found[name, index] = (origin, number if isinstance(number, int) else 0)
    return found


def _objects(several: Any, key: str) -> Iterator[Any]:
    for one in _listed(several):
        yield from _listed(_at(one, key))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
