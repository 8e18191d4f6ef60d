"""What a difference means for each target: which of its rules speak of one side alone, and which operators are new."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.onnx.convert import PRODUCER, build
from lwmport.converters.onnx.writer import INLINE_BYTES, reference, write_model
from lwmport.errors import PortError
from lwmport.graphs.trace import trace
from lwmport.models.families import family_with, parts_of, resolve
from lwmport.pipeline.compare.graph_reader import opened
from lwmport.pipeline.compare.sides import Side
from lwmport.reports.comparison.meaning import NewOperator, Objection, TargetMeaning
from lwmport.targets.graphs.opening import is_saved_model, open_graph
from lwmport.targets.graphs.record import SMALL, Graph
from lwmport.targets.preflight import Conditions, judge
from lwmport.targets.registry import TARGETS
from lwmport.targets.target import Target
from lwmport.types import Component, Dialect, Severity

ONNX: Final = "onnx"

ONE_LAYER: Final = "the rules are asked about one layer of each part, for layers repeat"


@dataclass(kw_only=True)
class _Said:
    """What a target says of one side: its verdict, objections with their number, operators with theirs, remarks."""

    status: str = ""
    objections: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    operators: Counter[tuple[str, str]] = field(default_factory=Counter)
    form: str = ""
    opset: int = 0
    notes: list[str] = field(default_factory=list)


def meanings(a: Side, b: Side) -> tuple[TargetMeaning, ...]:
    """Return what the difference of two sides means for every target; no weight is read.

    A component is written in the dialect of the target's usual format, without its weights and with one layer.
    """
    graphs = {side.text: [_weightless(opened(path)) for path in side.files.values()] for side in (a, b)}
    return tuple(_meaning(name, (_said(a, name, graphs[a.text]), _said(b, name, graphs[b.text]))) for name in TARGETS)


def _meaning(name: str, said: tuple[_Said, _Said]) -> TargetMeaning:
    a, b = said
    keys = [
        key for key in dict.fromkeys((*a.objections, *b.objections)) if not (a.objections[key] and b.objections[key])
    ]
    both = a.status and b.status
    return TargetMeaning(
        target=name,
        status_a=a.status,
        status_b=b.status,
        objections=tuple(_objection(key, a, b) for key in sorted(keys, key=_gravity)) if both else (),
        operators=tuple(_new_operators(TARGETS[name], a, b)) if both and a.form == b.form else (),
        notes=tuple(dict.fromkeys((*(f"A: {note}" for note in a.notes), *(f"B: {note}" for note in b.notes)))),
    )


def _gravity(key: tuple[str, str, str, str]) -> tuple[int, str, str]:
    return list(Severity).index(Severity(key[1])), key[0], key[3]


def _objection(key: tuple[str, str, str, str], a: _Said, b: _Said) -> Objection:
    rule, severity, title, operator = key
    vendor, fix = (a.words | b.words)[rule]
    return Objection(
        rule=rule,
        severity=severity,
        title=title,
        operator=operator,
        a=a.objections[key],
        b=b.objections[key],
        vendor=vendor,
        fix=fix,
    )


def _new_operators(target: Target, a: _Said, b: _Said) -> Iterator[NewOperator]:
    """Yield the operators that one side alone has, with what the vendor's list says of them."""
    known = target.operator_list(b.form)
    for side, own, other in (("B", b, a), ("A", a, b)):
        for (domain, operator), count in sorted(own.operators.items()):
            if (domain, operator) in other.operators:
                continue
            found, note = known.look(domain, operator, own.opset) if known else (None, "")
            name = f"{domain}.{operator}" if domain else operator
            yield NewOperator(operator=name, side=side, count=count, listed=found, note=note)


def _said(side: Side, target: str, graphs: list[Graph]) -> _Said:
    if side.component:
        return _of_component(side, target)
    said = _Said()
    if not graphs:
        said.notes.append("a checkpoint has no operators to ask about")
    for graph in graphs:
        _ask(said, target, graph)
    return said


def _ask(said: _Said, target: str, graph: Graph) -> None:
    """Add what a target says of a graph."""
    if not any(graph.form in rule.forms for rule in TARGETS[target].rule_table):
        said.notes.append(
            f"no rule of {target} is about {'a SavedModel' if is_saved_model(graph.path) else graph.form}"
        )
        return
    try:
        found = judge(graph, Conditions(target=target))
    except PortError as error:
        said.notes.append(f"not asked: {error}")
        return
    said.status = str(found.status) if said.status != "failed" else said.status
    said.form, said.opset = graph.form, graph.opset
    said.operators.update(graph.operators)
    for finding in found.findings:
        said.objections[finding.rule, str(finding.severity), finding.title, finding.operator] += 1
        said.words[finding.rule] = (finding.vendor, finding.fix)


def _of_component(side: Side, target: str) -> _Said:
    said = _Said()
    dialect = TARGETS[target].formats.get(ONNX)
    if dialect is None:
        said.notes.append(f"{target} takes no ONNX, in which components are asked about")
        return said
    try:
        for component in _components(side, dialect):
            with _written(component, dialect) as graph:
                _ask(said, target, graph)
    except PortError as error:
        said.status = ""
        said.notes.append(f"not written in the dialect {dialect.name}: {error}")
        return said
    said.notes.append(f"written in the dialect {dialect.name}; {ONE_LAYER}")
    return said


def _components(side: Side, dialect: Dialect) -> tuple[Component, ...]:
    """Return the components of a side as the dialect wants them, with one layer each."""
    options = side.options.completed(dialect)
    spec = family_with(side.component)
    counts = {spec.part(part).layers for part in parts_of(side.component, options)} - {""}
    fewer = replace(options, settings=tuple(f"{name}=1" for name in sorted(counts)))
    return resolve(side.component, side.config, fewer).components


@contextmanager
def _written(component: Component, dialect: Dialect) -> Iterator[Graph]:
    """Yield the graph that a component becomes in a dialect; its weights are places in a file that is not written."""
    weights = SeededWeights(component.weights, 0)
    graph, inputs, outputs = build(trace(component), weights, dialect)
    with TemporaryDirectory(prefix="lwmport-compare-") as folder:
        path = Path(folder) / f"{component.name}.onnx"
        for item in graph.initializers.values():
            if item.nbytes >= INLINE_BYTES:
                item.value.const_value = reference(item, path, 0)
        write_model(graph, inputs, outputs, path, _silent, PRODUCER)
        yield replace(_weightless(open_graph(path)), problems=())


def _weightless(graph: Graph) -> Graph:
    """Return a graph whose large constants cannot be read: what rules say of values is not asked."""
    constants = {
        name: replace(constant, blocks=lambda: ()) if constant.nbytes > SMALL else constant
        for name, constant in graph.constants.items()
    }
    return replace(graph, constants=constants)


def _silent(_name: str, _done: int, _total: int) -> None:
    return
