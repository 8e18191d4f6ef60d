"""The passes in their order, the proof, and the file, which is written only if the numbers stayed."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import onnx

from lwmport import atomic, placing
from lwmport.errors import PortError, UnmendedError, UsageError, one_line
from lwmport.targets.fix import branches, cast_cleanup, folding, functions, numbers, opsets, parser_workarounds, stamp
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.masks import soften, try_out, undo
from lwmport.targets.fix.memory_check import check_room
from lwmport.targets.fix.proof import Proof, prove, together
from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.fix.trials import HINT
from lwmport.targets.fix.well_formed import check_nodes
from lwmport.targets.fix.writing import data_of, refuse_sources, write
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.graphs.record import Graph, Value
from lwmport.targets.preflight import Conditions, judge, subject_of, version_of
from lwmport.targets.registry import TARGETS
from lwmport.types import Preflight
from lwmport.wording import shown


class Given(Protocol):
    """Inputs that a user gives to prove on; ``words`` say what they are."""

    words: str

    def of(self, inputs: Sequence[Value]) -> Sequence[Feed]:
        """Return the runs of a model with these inputs."""


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


def mend(path: Path, out: Path, conditions: Conditions, given: Given | None = None) -> Mended:
    """Write a mended copy of an ONNX model, if it computes the same on random inputs, or on those that are given.

    Raises:
        ArtifactError: its weights are not there.
        ChildError: the model dies on the inputs, or takes more memory or time than it may.
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
    check_nodes(draft)
    placing.check_way(out.parent, [out.name, data_of(out).name], {*stamp.owned(out), *placing.noted(out.parent)})
    before = draft.graph
    subject_of(before, conditions)
    check_room(before)
    feeds = given.of(before.inputs) if given else ()
    try:
        improve(draft, conditions)
        with atomic.new_folder(out.parent, last=out.name, owned=lambda _: stamp.owned(out), others=False) as scratch:
            with tempfile.TemporaryDirectory(dir=scratch) as spare:
                known = runnable(before, Path(spare))
                files, proof, condition = _written(draft, known, conditions, (Path(spare), scratch / out.name), feeds)
                stamp.put(scratch / out.name)
                after = read(scratch / out.name)
            found = judge(after, replace(conditions, shapes=None))
            names = tuple(out.parent / file.name for file in files)
    except (PortError, MemoryError, OSError):
        raise
    except Exception as error:
        raise unmended(path, draft, error) from error
    if given:
        proof = replace(proof, inputs=given.words)
    notes = tuple(draft.notes)
    return Mended(path=out, files=names, notes=notes, proof=proof, preflight=found, condition=condition)


def unmended(path: Path, draft: Draft, error: Exception) -> UnmendedError:
    """Return what says of an exception of another kind where it came up; it is a fault of ours."""
    node = draft.at
    where = f"{node.op_type} {shown(node.name or next(iter(node.output), ''))}" if node is not None else "the model"
    return UnmendedError(
        f"lwmport could not mend {path}: {type(error).__name__}: {shown(one_line(error))[:300]} (at {where}); nothing "
        f"was written; please report it with the file, for that is a fault of lwmport's"
    )


def _written(
    draft: Draft, known: Graph, conditions: Conditions, places: tuple[Path, Path], feeds: Sequence[Feed]
) -> tuple[list[Path], Proof, str]:
    """Write a draft, with smaller masks if that changes nothing; return its files, the proof, and its condition.

    Raises:
        PortError: it does not compute the same.
    """
    spare, path = places
    masks = numbers.masks_of(draft) if is_narrow(conditions) else []
    if not masks:
        files = write(draft, path)
        return files, _held(prove(known, read(path), given=feeds), draft), ""
    limit = abs(TARGETS[conditions.target].fix_table.mask)
    model = onnx.ModelProto()
    model.CopyFrom(draft.model)
    notes = len(draft.notes)
    found = soften(draft, masks, limit, (spare / "unmasked.onnx", path), feeds)
    usual = _held(prove(known, found.before, given=feeds), draft)
    softened, softening = try_out(found, known, feeds)
    files = [one for one in (path, data_of(path)) if one.exists()]
    if softened.equal:
        return files, together([usual, softened]), softening.condition
    undo(draft, model, notes)
    count = f"{len(masks)} mask{' as it is' if len(masks) == 1 else 's as they are'}"
    draft.changed(f"left {count}: with smaller numbers the outputs are others where a row is masked whole")
    for left in files:
        left.unlink()
    return write(draft, path), usual, ""


def _held(proof: Proof, draft: Draft) -> Proof:
    """Return a proof that shows that the numbers stayed.

    Raises:
        PortError: it shows the opposite, or nothing.
    """
    if not proof.equal:
        raise PortError(f"{proof.sentence}; nothing was written (done: {'; '.join(draft.notes) or 'nothing'})")
    if proof.silent:
        raise PortError(
            f"expected numbers in {', '.join(sorted(proof.silent))} to prove that they stay, found NaN or infinities "
            f"alone on all inputs that were tried; {HINT}; nothing was written"
        )
    return proof


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
    branches.take_known(draft)
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
