"""A comparison as one JSON document; docs/compare.md describes it."""

from typing import Any, Final

from lwmport import plain
from lwmport.reports.comparison.facts import Facts, Tensor
from lwmport.reports.comparison.meaning import TargetMeaning
from lwmport.reports.comparison.record import Comparison, ModuleDiff, SideFacts

FORMAT: Final = "lwmport-compare/1"


def document(found: Comparison) -> dict[str, Any]:
    """Return a comparison as plain JSON values: every module is told, alike ones one by one."""
    return {
        "format": FORMAT,
        "status": found.status,
        "sentence": found.sentence,
        "compared_by": found.compared_by,
        "counts": {str(status): count for status, count in found.counts.items()},
        "a": _side(found.a),
        "b": _side(found.b),
        "interface": plain.encode(found.interface),
        "modules": [_module(module) for module in found.root.walk()],
        "targets": [_target(meaning) for meaning in found.targets],
        "notes": list(found.notes),
    }


def _side(side: SideFacts) -> dict[str, Any]:
    return {
        "name": side.text,
        "kind": side.kind,
        "operators_of": side.vocabulary,
        "modules": side.modules,
        "inputs": list(map(_tensor, side.inputs)),
        "outputs": list(map(_tensor, side.outputs)),
        "sizes": dict(side.sizes),
        "notes": list(side.notes),
        **_facts(side.total),
    }


def _module(module: ModuleDiff) -> dict[str, Any]:
    return {
        "path": "/".join(module.path),
        "status": str(module.status),
        "path_a": None if module.a is None else "/".join(module.a),
        "path_b": None if module.b is None else "/".join(module.b),
        "matched_by": module.matched_by,
        "changes": plain.encode(module.changes),
        "a": None if module.a is None else {**_facts(module.facts_a), "tensors": _tensors(module.facts_a)},
        "b": None if module.b is None else {**_facts(module.facts_b), "tensors": _tensors(module.facts_b)},
    }


def _facts(facts: Facts) -> dict[str, Any]:
    return {
        "parameters": facts.parameter_count,
        "parameter_bytes": facts.parameter_bytes,
        "operators": dict(facts.operators),
        "kinds": dict(facts.kinds),
        "flop": facts.flop,
        "bytes": facts.bytes,
        "uncounted": facts.uncounted,
    }


def _tensors(facts: Facts) -> list[dict[str, Any]]:
    return list(map(_tensor, facts.parameters))


def _tensor(tensor: Tensor) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    return {"name": tensor.name, "shape": shape, "dtype": tensor.dtype}


def _target(meaning: TargetMeaning) -> dict[str, Any]:
    encoded: dict[str, Any] = plain.encode(meaning)
    return {**encoded, "sentence": meaning.sentence}
