"""The published schemas: real documents fit them and hold nothing that they do not name; broken ones do not fit."""

import copy
import json
import math
import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from bisections import bisection
from test_ports import matrix

from lwmport.pipeline.footprint.document import document as plan_document
from lwmport.pipeline.footprint.run import plan
from lwmport.reports.bisect_files import write_bisection
from lwmport.reports.bisection import as_json
from lwmport.reports.captions.files import document as captions_document
from lwmport.reports.captions.record import Caption, Captions, Pair, Setting, Side
from lwmport.reports.evaluations import agreement, likeness, needle, perplexity
from lwmport.reports.port_index import write_index
from lwmport.reports.race.files import document as race_document
from lwmport.reports.race.record import Accuracy, Race, RaceRow, Ratio
from lwmport.reports.speed.files import document as bench_document
from lwmport.reports.speed.record import Bench, BenchRow
from lwmport.reports.trends import trends
from lwmport.types import Status
from lwmport.validators.likelihood import PARTS, Comparison, Estimate, Spread


def measured() -> Bench:
    row = BenchRow(
        input=4, output=2, batch=1, status="measured", first=0.1, next={"p50": 0.1}, run={"p50": 0.3}, rate=5.0
    )
    ended = BenchRow(input=4, output=2, batch=2, status="out of memory", reason="why")
    return Bench(
        model="m", facts={"threads": "1"}, warm_up=1, repeat=3, rows=(row, ended) * 5, stopped="why", sentence="words"
    )


def captions() -> Captions:
    one = Caption(text="a cat", cosine=0.3, tokens=2, unseen_tokens=1, unseen="cat")
    side = Side(file="a.json", pictures=1, mean=0.3, unseen_share=0.5, cut=1, only=("b.png",))
    return Captions(
        status=Status.SKIPPED,
        sentence="words",
        a=side,
        b=side,
        difference=0.0,
        low=None,
        high=0.1,
        margin=None,
        decoding="words",
        settings=(Setting(name="top_p", a="0.9", b="not told"),),
        facts={"judge": "clip"},
        notes=("words",),
        pairs=(Pair(picture="a.png", a=one, b=one, difference=0.0),) * 6,
    )


def raced() -> Race:
    """Return a race with one way that ran and one that did not."""
    way: dict[str, Any] = {"engine": "openvino", "precision": "float32", "threads": 2, "artifact": "a.onnx"}
    row = RaceRow(
        way="one", opens_s=1.0, seconds=0.1, rounds=(0.1,), ratio=Ratio(median=1.0, low=1.0, high=1.0), peak_bytes=9,
        accuracy=Accuracy(verdict=Status.PASSED, reason="words", sqnr_db=math.inf, psnr_db=9.0, equal=1.0), **way,
    )  # fmt: skip
    return Race(
        component="a", artifact="a.onnx", facts={"machine": "words"}, reference="r", inputs="i", bound="b",
        rows=(row, *(RaceRow(way="two", reason="not here", **way),) * 9), usual="one", winner="one",
    )  # fmt: skip


def evaluations() -> dict[str, list[Any]]:
    """Return what the other evaluations found, by name."""
    facts = {f"fact {number}": "words" for number in range(20)}
    estimate = Estimate(value=1.5, error=0.1)
    spread = Spread(mean=estimate, smallest=0.0, largest=math.inf, quantiles={f"{part:g}": 0.2 for part in PARTS})
    beside = Comparison(
        reference=estimate, correlation=None, log_ratio=estimate, ratio=estimate, difference=estimate, kl=spread,
        change=spread, change_rms=estimate, same_top=estimate, greedy=2.5,
    )  # fmt: skip
    named: dict[str, Any] = {"sentence": "words", "text": "t", "text_sha256": "0", "facts": facts}
    asked = perplexity.Perplexity(
        model="m", against="r", tokens=9, context=8, stride=None, windows=1, positions=3, perplexity=estimate,
        comparison=beside, **named,
    )  # fmt: skip
    apart = agreement.Difference(place=1, a=2, b=3, a_text="x", b_text="", a_gap=0.1, b_gap=0.2)
    row = agreement.Continued(prompt_tokens=4, new_tokens=2, agreeing=1, difference=apart)
    tokens = agreement.Agreement(
        a="a", b="b", mode="text", new_tokens=2, identical=0, smallest_gap=0.1, largest_gap=None, prompts=(row,) * 9,
        **named,
    )  # fmt: skip
    trial = needle.Row(context_length=9, depth_percent=0, response="r", answer=("1",), correct=(True,), seed=1)
    found = needle.Needle(
        model="m", haystack="h", needles_total=1, needles_asked=1, settings=facts, lengths=(9,), depths=(0,),
        results=(trial,) * 9,
    )  # fmt: skip
    pair = likeness.Pair(name="a.png", height=1, width=1, psnr_db=math.inf, ssim=None)
    alike = likeness.Likeness(
        sentence="words", a="a", b="b", equal=9, mean_psnr_db=None, worst_psnr_db=math.inf, mean_ssim=1.0,
        worst_ssim=1.0, clip_a=None, clip_b=None, only_a=("c.png",), only_b=(), facts=facts, pairs=(pair,) * 9,
    )  # fmt: skip
    return {
        "perplexity": [perplexity.document(asked), perplexity.document(replace(asked, comparison=None))],
        "agreement": [agreement.document(tokens)],
        "needle": [needle.document(found), needle.document(replace(found, results=()))],
        "images": [likeness.document(alike)],
    }


ROOT = Path(__file__).parents[2]
FOLDER = resources.files("lwmport.reports") / "schemas"
NAMES = (
    "agreement",
    "bench",
    "bisect",
    "captions",
    "images",
    "index",
    "needle",
    "perplexity",
    "plan",
    "race",
    "report",
)
SCHEMAS = {name: json.loads((FOLDER / f"{name}.schema.json").read_text()) for name in NAMES}
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
SILENT = {"$schema", "$id", "$defs", "title", "description"}


def faults(schema: Any, value: Any, whole: Any, where: str = "$") -> Iterator[str]:
    """Yield what keeps a value from a schema; one that the schema does not name is a fault too.

    A validator of the few keywords that ours use: one that it does not know is an error.
    """
    for word, given in schema.items():
        if word not in SILENT:
            yield from KEYWORDS[word](given, value, whole, where)
    if isinstance(value, dict) and "properties" in schema and "additionalProperties" not in schema:
        yield from (f"{where}.{name}: not in the schema" for name in value.keys() - schema["properties"].keys())


def of_type(given: Any, value: Any, _whole: Any, where: str) -> Iterator[str]:
    names = [given] if isinstance(given, str) else given
    if not any(TYPES[name](value) for name in names):
        yield f"{where}: expected {given}, found {value!r}"


def one_of(given: Any, value: Any, _whole: Any, where: str) -> Iterator[str]:
    if value not in given:
        yield f"{where}: expected one of {given}, found {value!r}"


def any_of(given: Any, value: Any, whole: Any, where: str) -> Iterator[str]:
    found = [list(faults(one, value, whole, where)) for one in given]
    if all(found):
        yield from min(found, key=len)


def referred(given: Any, value: Any, whole: Any, where: str) -> Iterator[str]:
    yield from faults(whole["$defs"][given.removeprefix("#/$defs/")], value, whole, where)


def required(given: Any, value: Any, _whole: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{where}.{name}: missing" for name in given if name not in value)


def properties(given: Any, value: Any, whole: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() & given.keys():
            yield from faults(given[name], value[name], whole, f"{where}.{name}")


def more_properties(given: Any, value: Any, whole: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from faults(given, item, whole, f"{where}.{name}")


def items(given: Any, value: Any, whole: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from faults(given, item, whole, f"{where}[{place}]")


def prefix_items(given: Any, value: Any, whole: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for place, (schema, item) in enumerate(zip(given, value, strict=False)):
            yield from faults(schema, item, whole, f"{where}[{place}]")


def bound(holds: Callable[[Any, Any], bool], kind: type | tuple[type, ...]) -> Callable[..., Iterator[str]]:
    def check(given: Any, value: Any, _whole: Any, where: str) -> Iterator[str]:
        if isinstance(value, kind) and not holds(value, given):
            yield f"{where}: found {value!r}, beyond {given!r}"

    return check


KEYWORDS: dict[str, Callable[..., Iterator[str]]] = {
    "type": of_type,
    "enum": one_of,
    "const": lambda given, *rest: one_of([given], *rest),
    "anyOf": any_of,
    "$ref": referred,
    "required": required,
    "properties": properties,
    "additionalProperties": more_properties,
    "items": items,
    "prefixItems": prefix_items,
    "pattern": bound(lambda value, given: re.search(given, value) is not None, str),
    "minimum": bound(lambda value, given: value >= given, (int, float)),
    "minItems": bound(lambda value, given: len(value) >= given, list),
    "maxItems": bound(lambda value, given: len(value) <= given, list),
    "maxProperties": bound(lambda value, given: len(value) <= given, dict),
}


@pytest.fixture(scope="module")
def documents(good: Any, bad: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    folder = tmp_path_factory.mktemp("documents")
    write_index(matrix(), folder)
    plain = json.loads((folder / "index.json").read_text())
    found = trends(matrix(), matrix(), "before")
    write_index(matrix().__class__(jobs=matrix().jobs, workers=1, memory=1, trends=found), folder)
    write_bisection(bisection(others=bisection().others), folder)
    reports = []
    for sample in (good, bad):
        sample.write(folder)
        reports.append(json.loads((folder / "report.json").read_text()))
    unjudged = bisection(status=Status.NOT_JUDGED, first=None, taps=(), outputs=(), reason="why")
    return {
        "index": [plain, json.loads((folder / "index.json").read_text())],
        "report": reports,
        "race": [json.loads(json.dumps(race_document(raced())))],
        "bench": [json.loads(json.dumps(bench_document(measured(), "key")))],
        **{name: [json.loads(json.dumps(one)) for one in found] for name, found in evaluations().items()},
        "captions": [json.loads(json.dumps(captions_document(captions())))],
        "plan": [
            plan_document(one)
            for one in (plan(model="llama", config="debug"), plan(model="llama", config="debug", memory="150MB"))
        ],
        "bisect": [
            json.loads((folder / "bisect.json").read_text()),
            *(json.loads(json.dumps(as_json(one))) for one in (bisection(), bisection(wrong=None), unjudged)),
        ],
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_real_documents_fit_and_hold_nothing_else(name: str, documents: dict[str, list[Any]]) -> None:
    schema = SCHEMAS[name]
    assert documents[name]
    for document in documents[name]:
        assert list(faults(schema, document, schema)) == []


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a document, as what holds it and its key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        yield value, key
        yield from leaves(item)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_document_with_a_wrong_value_does_not_fit(name: str, documents: dict[str, list[Any]]) -> None:
    """Whatever value becomes an object that no schema names: the document no longer fits."""
    schema, document = SCHEMAS[name], copy.deepcopy(documents[name][-1 if name == "index" else 0])
    places = list(leaves(document))[::17]
    assert len(places) > 5
    for holder, key in places:
        before, holder[key] = holder[key], {"unheard of": [()]}
        assert list(faults(schema, document, schema)), f"{key} may be anything"
        holder[key] = before
    assert list(faults(schema, document, schema)) == []


def test_the_schemas_that_are_made_of_records_are_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "schemas.py"))["schemas"]()
    assert {name.removesuffix(".schema.json") for name in made} == set(NAMES) - {"bisect"}
    for name, schema in made.items():
        assert json.loads((FOLDER / name).read_text()) == schema, "run: python tools/schemas.py"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_says_what_it_is_and_refers_to_what_is_there(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"].endswith(".") or "--json" in schema["title"]
    text = json.dumps(schema)
    assert set(re.findall(r'"#/\$defs/(\w+)"', text)) == set(schema["$defs"])


def test_schemas_travel_with_the_package() -> None:
    assert '"reports/schemas/*"' in (ROOT / "pyproject.toml").read_text()
