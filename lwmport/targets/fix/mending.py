"""The passes in their order, the proof, and the file, which is written only if the numbers stayed."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from lwmport import atomic, placing
from lwmport.errors import PortError, UsageError
from lwmport.targets.fix import cast_cleanup, folding, functions, numbers, opsets, parser_workarounds, stamp
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.masks import soften
from lwmport.targets.fix.memory_check import check_room
from lwmport.targets.fix.proof import Giver, Proof, prove, together
from lwmport.targets.fix.writing import data_of, refuse_sources, write
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.graphs.record import Graph
from lwmport.targets.preflight import Conditions, judge, subject_of, version_of
from lwmport.targets.registry import TARGETS
from lwmport.types import Preflight


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A model that was mended: what was done, how far it is from what it was, and what is still found in it.

    ``condition`` says when masks that were written as smaller numbers hide what they hid; empty where there are none.
    """

    path: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    proof: Proof
    preflight: Preflight
    condition: str = ""

    @property
    def sentence(self) -> str:
        """The proof with its condition, in words."""
        return f"{self.proof.sentence}; {self.condition}" if self.condition else self.proof.sentence


def mend(path: Path, out: Path, conditions: Conditions, given: Giver | None = None) -> Mended:
    """Write a mended copy of an ONNX model, if it computes the same on random inputs.

    ``given`` returns further inputs, a user's, for the inputs of the mended model.

    Raises:
        ArtifactError: its weights are not there.
        PortError: the mended model does not compute the same, or its trials do not fit into memory; nothing is written.
        RunnerError: ONNX Runtime refuses the model before or after.
        UsageError: sizes of inputs are missing, the file is no ONNX model, or ``out`` or the data beside it is the file
            itself or one that holds its weights.
    """
    if path.suffix != ".onnx" or out.suffix != ".onnx":
        raise UsageError(f"expected ONNX files for --fix and --out, found {path.name} and {out.name}")
    if out.resolve() == path.resolve():
        raise UsageError(f"expected another file than {path} for --out: the fix is proved against it")
    draft = Draft(path, conditions.shapes)
    refuse_sources(draft, out)
    placing.check_way(out.parent, [out.name, data_of(out).name], {*stamp.owned(out), *placing.noted(out.parent)})
    before = draft.graph
    subject_of(before, conditions)
    check_room(before)
    improve(draft, conditions)
    with atomic.new_folder(out.parent, last=out.name, owned=lambda _: stamp.owned(out), others=False) as scratch:
        with tempfile.TemporaryDirectory(dir=scratch) as spare:
            known = runnable(before, Path(spare))
            masks = numbers.masks_of(draft) if is_narrow(conditions) else []
            path, softening = scratch / out.name, None
            if masks:
                limit = abs(TARGETS[conditions.target].fix_table.mask)
                files, softening = soften(draft, masks, limit, (Path(spare) / "unmasked.onnx", path))
                proofs = [prove(known, softening.masked.before), softening.usual]
            else:
                files, proofs = write(draft, path), []
            stamp.put(path)
            after = read(path)
            proof = together([*proofs, prove(known, after, wide=not proofs, given=given)])
        if not proof.equal:
            raise PortError(f"{proof.sentence}; nothing was written (done: {'; '.join(draft.notes) or 'nothing'})")
        found = judge(after, replace(conditions, shapes=None))
        names = tuple(out.parent / file.name for file in files)
    condition = softening.condition if softening else ""
    notes = tuple(draft.notes)
    return Mended(path=out, files=names, notes=notes, proof=proof, preflight=found, condition=condition)


def is_narrow(conditions: Conditions) -> bool:
    """Return whether a target's compiler computes in float16 or int8: elsewhere large constants stay."""
    target = TARGETS[conditions.target]
    return target.fix_table.is_narrow(conditions.precision or target.checked_precision)


def runnable(graph: Graph, folder: Path) -> Graph:
    """Return the graph. If two nodes share a name, return that of a renamed copy: ONNX Runtime refuses such models."""
    names = [node.name for node in graph.nodes if node.name]
    if len(set(names)) == len(names):
        return graph
    draft = Draft(graph.path)
    parser_workarounds.names(draft)
    return read(write(draft, folder / "before.onnx")[0])


def improve(draft: Draft, conditions: Conditions) -> None:
    """Run the passes of a target over a draft, all but `lwmport.targets.fix.masks.soften`."""
    fixes = TARGETS[conditions.target].fix_table
    opset = fixes.opset(draft.opset, version_of(conditions.toolkit))
    functions.inline_functions(draft)
    folding.drop_identities(draft)
    folding.fold(draft)
    functions.decompose(draft, fixes.refuses, opset)
    cast_cleanup.casts(draft)
    cast_cleanup.empty_parts(draft)
    folding.drop_identities(draft)
    parser_workarounds.needless_attributes(draft)
    for spell in fixes.spellings:
        spell(draft)
    folding.fold(draft)
    if opset < draft.opset:
        opsets.lower(draft, opset)
    if not fixes.float64 and all(value.dtype != "float64" for value in draft.graph.inputs):
        numbers.no_doubles(draft)
    if is_narrow(conditions):
        numbers.finite_bounds(draft)
    for change in fixes.numbers:
        change(draft)
    folding.drop_identities(draft)
    folding.drop_unread(draft)
    parser_workarounds.domains(draft)
    parser_workarounds.names(draft)
