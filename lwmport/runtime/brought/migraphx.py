"""What ``migraphx-driver`` prints: values or statistics of each instruction, named after the ONNX nodes they come from.

An instruction that several nodes were fused into is nobody's output. A node that became several instructions is read
from the last of them, and only where no part of it was fused.
"""

from collections.abc import Callable, Iterator
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.listing import File, Listing, front_of
from lwmport.runtime.brought.migraphx_trace import RUN, UNNAMED, Instruction, trace_in
from lwmport.runtime.brought.stored import MOST_TEXT, Span, printed
from lwmport.runtime.brought.tensor import Brought, BroughtTensor
from lwmport.types import Array
from lwmport.wording import few, shown

KIND: Final = "migraphx-driver"
SUFFIXES: Final = (".txt", ".log", ".out")
SHORT, LONG = 1 << 16, 16 << 20
"""Bytes in which the first instruction is looked for: the program may be printed before it runs."""

PROGRAM: Final = b"_type, {"
"""What every line of a printed program has."""

VERIFIED: Final = (b"MIGraphX verification", b"RMS Error: ", b"rms_tol: ")
DIGITS: Final = "values have the six digits that MIGraphX prints"
HINT: Final = "run it with MIGRAPHX_TRACE_EVAL=2 (3 for all values) and --debug-symbols"


def fits(found: Listing) -> bool:
    """Return whether there is a text in which instructions are traced, or one text of a run without any trace."""
    return any(map(_is_trace, found.files)) or (
        found.alone and any(sign in front_of(found.files[0], SHORT) for sign in VERIFIED)
    )


def _is_trace(file: File) -> bool:
    if not file.last.lower().endswith(SUFFIXES):
        return False
    front = front_of(file, SHORT)
    return RUN in front or (PROGRAM in front and RUN in front_of(file, LONG))


def read(found: Listing) -> Brought:
    """Return the tensors of one text.

    Raises:
        ArtifactError: there are several, or nothing is traced.
    """
    texts = [file for file in found.files if found.alone or _is_trace(file)]
    if len(texts) > 1:
        names = few(file.told for file in texts)
        raise ArtifactError(f"{found.root}: expected one text of {KIND}, found {names}; name one")
    file = texts[0]
    trace = trace_in(file)
    if not trace.runs:
        raise ArtifactError(f"{file.told}: expected traced instructions of {KIND}, found none; {HINT}")
    runs, notes = _device_runs(trace.runs)
    tensors: list[BroughtTensor] = []
    for sample, run in enumerate(runs):
        tensors.extend(_tensors(file, run, sample, trace.outputs, notes if not sample else []))
    if any(tensor.load for tensor in tensors):
        notes.append(DIGITS)
    if not tensors:
        notes.insert(0, f"no instruction is the whole of a named node; {HINT}")
    return Brought(kind=KIND, tensors=tuple(tensors), notes=tuple(notes))


def _device_runs(runs: list[list[Instruction]]) -> tuple[list[list[Instruction]], list[str]]:
    """Return the runs of the device: ``verify`` runs MIGraphX's own reference too."""
    device = [run for run in runs if not any(one.operator.startswith("ref::") for one in run)]
    if len(device) in (0, len(runs)):
        return runs, []
    return device, ["the run of MIGraphX's own reference is left aside"]


def _tensors(
    file: File, run: list[Instruction], sample: int, outputs: dict[str, str], notes: list[str]
) -> Iterator[BroughtTensor]:
    whole, fused, nameless = _by_node(run)
    for one in run:
        if one.name in outputs and not one.several:
            yield _tensor(file, one, outputs[one.name], "tensor", sample)
    for node, one in whole.items():
        yield _tensor(file, one, node, "output", sample)
    if fused:
        notes.append(f"{len(fused):,} nodes left aside, for they were fused: {few(map(shown, sorted(fused)))}")
    if nameless:
        notes.append(f"{nameless:,} instructions left aside, for no node is named; --debug-symbols names them")


def _by_node(run: list[Instruction]) -> tuple[dict[str, Instruction], set[str], int]:
    """Return node -> its last instruction, the nodes that were fused, and how many instructions name none."""
    traced = [one for one in run if one.end or one.statistics]
    fused = {node for one in run for node in one.symbols if len(one.symbols) > 1 or one.several}
    whole: dict[str, Instruction] = {}
    for one in traced:
        for node in one.symbols:
            if node not in fused and not node.startswith(UNNAMED):
                whole[node] = one
    return whole, fused, sum(not one.symbols for one in traced)


def _tensor(file: File, one: Instruction, name: str, role: str, sample: int) -> BroughtTensor:
    return BroughtTensor(
        names=(name,),
        role=role,
        sample=sample,
        shape=one.shape,
        dtype=one.dtype,
        source=f"{file.told}, line {one.line}",
        load=_loader(file, one),
        statistics=one.statistics,
    )


def _loader(file: File, one: Instruction) -> Callable[[], Array] | None:
    """Return what reads the values of an instruction, None where only some of them were printed."""
    if not one.end or one.cut or one.end - one.start > MOST_TEXT:
        return None
    span = Span(file=file, start=one.start, end=one.end, where=f"{file.told}, line {one.line}")
    return lambda: printed(span, one.dtype, one.shape)
