"""The parts of a model's memory, from its programs: traced once a dtype, counted for any number of tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

from lwmport.graphs.liveness import Peak, peak_of
from lwmport.graphs.program import Program
from lwmport.graphs.trace import DYNAMIC, trace
from lwmport.models.options import USUAL_ATTENTION
from lwmport.pipeline.footprint.record import Case, Term
from lwmport.pipeline.footprint.storage import PACKINGS, Stored, computed, narrowed, root_of, stored
from lwmport.pipeline.footprint.subject import Member, Subject
from lwmport.reports import numbers
from lwmport.targets.residence import Residence
from lwmport.types import TensorSpec, dtype_of, size_of

WHOLE_SCORES: Final = "full"
"""The form of attention that makes all scores at once: what is left where a runtime has no operator for it."""

SHAPES: Final = "shapes of the tensors"
LIVENESS: Final = "the traced program: what is alive at once (lwmport.graphs.liveness)"
BITSANDBYTES: Final = "bitsandbytes: matmul_4bit makes a float16 weight again, igemmlt an int32 result"


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A component and its program, with dynamic sizes."""

    member: Member
    program: Program


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """Counts one model as one runtime holds it.

    Attributes:
        subject: the model.
        residence: how the runtime holds it.
        composites: what it has an operator for; None for everything.
        attention: the form of attention where it has none for that.
    """

    subject: Subject
    residence: Residence
    composites: frozenset[str] | None
    attention: str
    _traced: dict[tuple[str, str], tuple[Traced, ...]] = field(default_factory=dict, repr=False)

    def traced(self, precision: str, attention: str | None = None) -> tuple[Traced, ...]:
        """Return the components as programs; those of one dtype are traced once."""
        key = (computed(precision), self.attention if attention is None else attention)
        if key not in self._traced:
            members = self.subject.members(*key)
            found = (Traced(member=one, program=trace(one.component, DYNAMIC)) for one in members)
            self._traced[key] = tuple(found)
        return self._traced[key]

    def has_tokens(self, precision: str) -> bool:
        """Return whether a component keeps something of each token."""
        return any(one.program.signature.caches for one in self.traced(precision))

    def positions(self, precision: str) -> int | None:
        """Return the tokens of the longest sequence that the model has positions for; None where it says nothing."""
        limits = [one.member.component.config.get("max_sequence_length") for one in self.traced(precision)]
        return min((int(limit) for limit in limits if limit), default=None)

    def parameters(self, precision: str) -> int:
        """Return the number of parameters of all components."""
        specs = (spec for one in self.traced(precision) for spec in one.member.component.weights.values())
        return sum(prod(spec.shape) for spec in specs)

    def terms(self, case: Case) -> tuple[Term, ...]:
        """Return the parts of the memory."""
        parts = self.traced(case.precision)
        found = [self._weights(one, case) for one in parts]
        found += [self._cache(one, case) for one in parts if one.program.signature.caches]
        found += self._values(self.traced("float32") if self.residence.widened else parts, case)
        if self.residence.packed:
            found += self._opening(parts, case, sum(term.bytes for term in found if term.name != "weights"))
        if self.residence.process:
            source = self.residence.sources.get("process", "")
            found.append(_term("process", "", self.residence.process, "without a model", source))
        return tuple(found)

    def total(self, case: Case) -> int:
        """Return the bytes of all terms."""
        return sum(term.bytes for term in self.terms(case))

    def _weights(self, one: Traced, case: Case) -> Term:
        kept = stored(one.member, one.program, case.precision)
        held = kept.bytes - (kept.tables if self.residence.mapped_tables else 0)
        if self.residence.widened and case.precision != "float32":
            held = 2 * held
        return _term("weights", one.member.component.name, held, self._told(one, kept, case.precision), SHAPES)

    def _told(self, one: Traced, kept: Stored, precision: str) -> str:
        packed = bool(narrowed(one.member, one.program, precision))
        dtype = precision if packed else computed(precision)
        words = [f"{kept.parameters:,} parameters in {dtype}"]
        if packed:
            words.append("linear layers alone; the head, tables and the rest in float16")
        if kept.tables and self.residence.mapped_tables:
            words.append(f"tables of {numbers.size(kept.tables)} stay in the file")
        if self.residence.widened and precision != "float32":
            words.append("held as float32")
        return "; ".join(words)

    def _cache(self, one: Traced, case: Case) -> Term:
        sizes = {**_sizes(case), "sequence": case.context, "past": 0}
        signature = one.program.signature
        specs = [spec for spec in signature.outputs if spec.name in signature.caches]
        once = sum(_bytes(spec, sizes) for spec in specs)
        token = once // max(1, case.context * case.batch)
        words = f"{token:,} bytes a token, {case.batch} × {case.context:,} tokens"
        if self.residence.caches > 1:
            words += f", {self.residence.caches} times: old and new states of a run"
        source = self.residence.sources.get("caches", SHAPES)
        return _term("cache", one.member.component.name, once * self.residence.caches, words, source)

    def _values(self, parts: tuple[Traced, ...], case: Case) -> list[Term]:
        """Return the values of the component that needs most: they run one after the other."""
        peaks = {one.member.component.name: self.peak(one, case) for one in parts}
        name = max(peaks, key=lambda key: peaks[key].bytes)
        peak = peaks[name]
        words = f"at {peak.where.removeprefix('lwmport.')}"
        source = f"{LIVENESS}; {BITSANDBYTES}" if case.precision in PACKINGS else LIVENESS
        found = [_term("values", name, peak.bytes, words, source)]
        if self.residence.arena:
            chunk = 1 << max(0, peak.bytes - 1).bit_length()
            again = 0 if case.context else chunk
            words = "memory is taken in powers of two" + ("" if case.context else ", and again as one block")
            source = self.residence.sources.get("arena", "")
            found.append(_term("workspace", name, chunk - peak.bytes + again, words, source, assumed=True))
        return found

    def _opening(self, parts: tuple[Traced, ...], case: Case, running: int) -> list[Term]:
        """Return what the largest weight takes while it is packed, beyond what a run takes, if it takes more."""
        sizes = {one.member.component.name: stored(one.member, one.program, case.precision).largest for one in parts}
        name = max(sizes, key=lambda key: sizes[key])
        if sizes[name] <= running:
            return []
        words = (
            f"a weight of {numbers.size(sizes[name])} is there twice while it is packed, before a run takes anything"
        )
        return [_term("opening", name, sizes[name] - running, words, self.residence.sources.get("packed", ""))]

    def peak(self, one: Traced, case: Case, composites: frozenset[str] | None = None) -> Peak:
        """Return the most that the values of a component take: of its prefill, its last step or its one run."""
        packed = narrowed(one.member, one.program, case.precision)

        def extra(equation: Any, _sizes: Mapping[str, int]) -> int:
            return _workspace(one.program, equation, set(packed), case)

        whole = self.composites if composites is None else composites
        names = _composites(one.program) if whole is None else whole
        runs = [(case.chunk, case.context - case.chunk), (1, max(0, case.context - 1))] if case.context else [(1, 0)]
        found = (
            peak_of(one.program, {**_sizes(case), "sequence": sequence, "past": past}, names, extra)
            for sequence, past in runs
        )
        return max(found, key=lambda peak: peak.bytes)

    def by_attention(self, case: Case) -> dict[str, int]:
        """Return the bytes of values for each form of attention; nothing for a model without tokens."""
        if not case.context:
            return {}
        found = {}
        for form in (USUAL_ATTENTION, WHOLE_SCORES):
            parts = self.traced(case.precision, USUAL_ATTENTION)
            found[form] = max(self.peak(one, case, self._names(one, form)).bytes for one in parts)
        return found

    def _names(self, one: Traced, form: str) -> frozenset[str]:
        names = _composites(one.program)
        return names if form == USUAL_ATTENTION else frozenset(name for name in names if "attention" not in name)


def _composites(program: Program) -> frozenset[str]:
    return frozenset(
        str(equation.params["name"]) for equation in program.jaxpr.eqns if equation.primitive.name == "composite"
    )


def _sizes(case: Case) -> dict[str, int]:
    return {"batch": case.batch}


def _bytes(spec: TensorSpec, sizes: Mapping[str, int]) -> int:
    return prod(size_of(dim, sizes) for dim in spec.shape) * int(dtype_of(spec.dtype).itemsize)


def _workspace(program: Program, equation: Any, packed: set[str], case: Case) -> int:
    """Return what a product with a packed weight needs besides."""
    if equation.primitive.name != "dot_general" or not packed:
        return 0
    names = [root_of(program, atom) for atom in equation.invars]
    weight = next((atom for atom, name in zip(equation.invars, names, strict=True) if name in packed), None)
    if weight is None:
        return 0
    if PACKINGS[case.precision].bits == 4:
        return 2 * int(prod(weight.aval.shape))
    rows = case.batch * max(1, case.chunk)
    return 4 * rows * int(equation.outvars[0].aval.shape[-1])


def _term(name: str, of: str, count: int, how: str, source: str, *, assumed: bool = False) -> Term:
    return Term(name=name, of=of, bytes=count, how=how, source=source, assumed=assumed)
