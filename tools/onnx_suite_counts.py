"""What the results of the suite come to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

ENDED: Final = ("traceback", "died", "hung")
SHAPED: Final = frozenset({"CastLike", "EyeLike", "Shape"})
"""Operators that read no value of an operand: the parser may drop an input that only they read."""

EQUAL: Final = "equal"
"""What a runtime's outputs are to the suite's own. Where they are not of themselves, as with random numbers, no copy of
the model is blamed for it."""

MOST: Final = 40
"""Names of models that a list of counts keeps."""


def count(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return, for each stage, how often what came; and where a verdict and its judge differ, each side."""
    by: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for line in lines:
        by[line["stage"]][line["model"]] = line
    found: dict[str, Any] = {"models": len(by["check"]), "stages": {}, "faults": {}}
    steady = {model for model, result in by["runtime"].items() if result.get("said") == EQUAL}
    for stage, results in by.items():
        words: Counter[str] = Counter()
        faults: dict[str, list[str]] = defaultdict(list)
        for model, result in results.items():
            for name, part in _parts(stage, result):
                word = _word(part)
                words[f"{name}{word}"] += 1
                if word in ENDED or (model in steady and _wrong(part)):
                    faults[f"{name}{word if word in ENDED else 'wrong numbers'}"].append(model)
        found["stages"][stage] = dict(sorted(words.items()))
        if faults:
            found["faults"][stage] = {name: models[:MOST] for name, models in faults.items()}
    found["cpu against ONNX Runtime"] = _against(by["check"], by["runtime"], "cpu")
    found["aipu against Compass's parser"] = _against(by["check"], by["compass"], "aipu")
    mended = {model: {"aipu": result} for model, result in by["fix-aipu"].items() if "status" in result}
    found["mended for aipu against Compass's parser"] = _against(mended, by["compass-mended"], "aipu")
    return found


def compass_config(path: Path) -> dict[str, str]:
    """Return the configuration of Compass's parser for a model."""
    from lwmport.errors import PortError
    from lwmport.targets.graphs.opening import open_graph

    config = {"model_type": "onnx", "model_name": "model", "model_domain": "image_classification"}
    config["input_model"] = str(path)
    try:
        graph = open_graph(path)
    except PortError:
        return config
    idle = [value.name for value in graph.inputs if {node.op for node in graph.readers.get(value.name, ())} <= SHAPED]
    shapes = [",".join(map(str, value.shape or ())) for value in graph.inputs]
    return {
        **config,
        "input": ",".join(value.name for value in graph.inputs),
        "input_shape": ",".join(f"[{shape}]" for shape in shapes),
        "output": ",".join(value.name for value in graph.outputs),
        "idle": str(len(idle)),
    }


def _parts(stage: str, result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the verdicts in one line: that of each target for ``check``."""
    parts: list[tuple[str, Mapping[str, Any]]]
    parts = [(f"{name}: ", part) for name, part in result.items() if isinstance(part, dict)]
    return parts if stage == "check" and parts else [("", result)]


def _word(part: Mapping[str, Any]) -> str:
    ended = next((word for word in ENDED if word in part), "")
    if ended:
        return ended
    if "error" in part:
        return f"refused with exit {part['exit']}"
    if "takes" in part:
        return "takes" if part["takes"] else "refuses"
    return str(part.get("status", "unknown"))


def _wrong(part: Mapping[str, Any]) -> bool:
    """Return whether a file that was written as equal does not compute what the suite's data say."""
    return str(part.get("truth", "")).startswith(("differs", "fails", "refused"))


def _against(ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]], target: str) -> Any:
    """Return how often verdict and judge agree, and the models on each side where they do not."""
    words: Counter[str] = Counter()
    sides: dict[str, list[str]] = defaultdict(list)
    rules: Counter[str] = Counter()
    for model, result in ours.items():
        part, judge = result.get(target, result), theirs.get(model)
        if judge is None or "status" not in part or "takes" not in judge:
            words["not judged"] += 1
            continue
        side = f"we say {part['status']}, it {'takes' if judge['takes'] else 'refuses'}"
        words[side] += 1
        if judge["takes"] != (part["status"] == "passed"):
            sides[side].append(model)
            rules.update(part["errors"] if part["status"] != "passed" else ())
    return {
        "counts": dict(words),
        "differ": {side: models[:MOST] for side, models in sides.items()},
        "rules that it does not need": dict(rules),
    }
