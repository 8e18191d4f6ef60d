"""Write the JSON Schemas of documents that are records anew: ``python tools/schemas.py``.

That of a bisection is written by hand, for its document is no record. Objects are open: a later version may add fields.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from lwmport.pipeline.footprint import record as plans
from lwmport.reports import files, ports
from lwmport.reports.captions import record as captions
from lwmport.reports.evaluations import agreement, likeness, needle, perplexity
from lwmport.reports.race import record as race
from lwmport.reports.record import Report
from lwmport.reports.speed import record as speed
from lwmport.types import TensorDiff
from lwmport.validators.metrics import RECORDS

FOLDER: Final = Path(__file__).parents[1] / "lwmport" / "reports" / "schemas"
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
DIGESTS: Final = {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
NUMBER: Final = {
    "description": "A number; one that JSON has no word for is a text.",
    "anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}],
}
SCALARS: Final[Mapping[Any, Any]] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"$ref": "#/$defs/number"},
    types.NoneType: {"type": "null"},
    Any: {},
}


def schemas() -> dict[str, Any]:
    """Return file name -> schema."""
    status = {"enum": ["passed", "failed", "not judged"]}
    return {
        "report.schema.json": _document(
            "What 'lwmport convert' and 'lwmport validate' found: report.json.",
            Report,
            files.FORMAT,
            {"files": DIGESTS, "seal": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
        ),
        "index.schema.json": _document(
            "What 'lwmport port JOBS.toml' found of every port: index.json.",
            ports.PortReport,
            ports.FORMAT,
            {"status": status, "sentence": {"type": "string"}, "files": DIGESTS},
        ),
        "bench.schema.json": _document(
            "What 'lwmport bench' measured: bench.json.", speed.Bench, speed.FORMAT, {"key": {"type": "string"}}
        ),
        "race.schema.json": _document(
            "What 'lwmport compile --fastest' raced: NAME.race.json.", race.Race, race.FORMAT, {}
        ),
        "captions.schema.json": _document(
            "What 'lwmport eval captions' found: captions.json.", captions.Captions, captions.FORMAT, {}
        ),
        "perplexity.schema.json": _document(
            "What 'lwmport eval perplexity --json' prints.", perplexity.Perplexity, perplexity.FORMAT, {}
        ),
        "agreement.schema.json": _document(
            "What 'lwmport eval tokens --json' prints.", agreement.Agreement, agreement.FORMAT, {}
        ),
        "needle.schema.json": _document(
            "What 'lwmport eval needle' found: needle.json.",
            needle.Needle,
            needle.FORMAT,
            {"accuracy": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        ),
        "images.schema.json": _document(
            "What 'lwmport eval images' found: images.json.", likeness.Likeness, likeness.FORMAT, {}
        ),
        "plan.schema.json": _document(
            "What 'lwmport plan --json' prints.",
            plans.MemoryPlan,
            plans.FORMAT,
            {"status": {"enum": [plans.FITS, plans.FITS_NOT, plans.UNKNOWN]}},
        ),
    }


def _document(title: str, record: type, form: str, more: Mapping[str, Any]) -> dict[str, Any]:
    defs: dict[str, Any] = {"number": NUMBER}
    inner = _object(record, defs)
    if "#/$defs/number" not in json.dumps([inner, defs]):
        del defs["number"]
    return {
        "$schema": DRAFT,
        "$id": f"urn:{form.replace('/', ':').replace('-', ':')}",
        **inner,
        "title": title,
        "required": ["format", *inner["required"]],
        "properties": {"format": {"const": form}, **more, **inner["properties"]},
        "$defs": dict(sorted(defs.items())),
    }


def _object(record: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a record; those inside it go to ``defs``."""
    hints = get_type_hints(record)
    properties = {field.name: _of(hints[field.name], defs) for field in fields(record)}
    if record is TensorDiff:
        properties["metrics"] = _metrics(defs)
    return {
        "description": str(record.__doc__).splitlines()[0],
        "type": "object",
        "required": [field.name for field in fields(record) if "added" not in field.metadata],
        "properties": properties,
    }


def _metrics(defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the numbers of an output, which its kind decides; what was not compared has none."""
    return {"anyOf": [{"type": "object", "maxProperties": 0}, *(_of(record, defs) for record in RECORDS.values())]}


def _of(hint: Any, defs: dict[str, Any]) -> Any:
    """Return the schema of what a type hint of a record means, as `lwmport.plain` writes it."""
    origin = get_origin(hint)
    if origin is not None:
        return CONTAINERS[origin](get_args(hint), defs)
    if is_dataclass(hint):
        return _reference(hint, defs)
    if hint not in SCALARS and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    return SCALARS[hint]


def _union(inner: tuple[Any, ...], defs: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [_of(one, defs) for one in inner]}


def _tuple(inner: tuple[Any, ...], defs: dict[str, Any]) -> dict[str, Any]:
    if inner[-1] is Ellipsis:
        return {"type": "array", "items": _of(inner[0], defs)}
    parts = [_of(one, defs) for one in inner]
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


CONTAINERS: Final[Mapping[Any, Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]]] = {
    Union: _union,
    types.UnionType: _union,
    Literal: lambda inner, _: {"enum": list(inner)},
    tuple: _tuple,
    Mapping: lambda inner, defs: {"type": "object", "additionalProperties": _of(inner[1], defs)},
}


def _reference(record: Any, defs: dict[str, Any]) -> dict[str, str]:
    name = record.__name__
    if name not in defs:
        defs[name] = {}  # a record that holds itself ends here
        defs[name] = _object(record, defs)
    return {"$ref": f"#/$defs/{name}"}


def main() -> None:
    """Write every schema."""
    for name, schema in schemas().items():
        (FOLDER / name).write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
