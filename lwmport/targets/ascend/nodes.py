"""Nodes that ``--keep-float32`` names, held against the models that are to be compiled."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.ascend.compile import FRAMEWORKS
from lwmport.targets.ascend.precision import NODE, NODE_PRECISION
from lwmport.targets.compile.job import CompileJob

SHOWN: Final = 3
"""Names that a message tells, of models or of nodes."""


def with_nodes(jobs: Sequence[CompileJob]) -> tuple[CompileJob, ...]:
    """Return the jobs, each with the names of its model's nodes if single nodes are to be kept.

    A name is good if any of the models has such a node. No weight is loaded. Jobs that ATC takes no single nodes for
    stay as they are: their plan refuses them.

    Raises:
        UsageError: none of the models has a node of some name.
        ArtifactError: a file is no model.
    """
    names = tuple(dict.fromkeys(name for job in jobs for name in job.keep_float32 if name.startswith(NODE)))
    if not names or any(job.precision != NODE_PRECISION or job.format not in FRAMEWORKS for job in jobs):
        return tuple(jobs)
    found = tuple(replace(job, nodes=_nodes(job.path)) for job in jobs)
    known = {name for job in found for name in job.nodes or ()}
    for name in names:
        if name.removeprefix(NODE) not in known:
            raise UsageError(_refusal(name, [job.path.name for job in jobs], sorted(known)))
    return found


def _nodes(path: Path) -> frozenset[str]:
    from lwmport.targets.graphs.opening import open_graph

    return frozenset(node.name for node in open_graph(path).nodes) - {""}


def _refusal(name: str, models: list[str], known: list[str]) -> str:
    where = " or ".join(models) if len(models) <= SHOWN else f"one of the {len(models)} models"
    said = f"expected --keep-float32 {NODE}NAME with the name of a node of {where}, found {name!r}"
    near = difflib.get_close_matches(name.removeprefix(NODE), known, n=1)
    if near:
        return f"{said}; did you mean {NODE + near[0]!r}?"
    if not known:
        return f"{said}; no node there has a name: keep operators of a type (--keep-float32 OP), or name the nodes"
    return f"{said}; nodes there are called {', '.join(map(repr, known[:SHOWN]))}, ..."
