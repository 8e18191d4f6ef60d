"""How results and model find each other: by a path where they lie together, and by nothing where they lie apart.

A path between two folders that have nothing to do with each other is news of this machine: the same compilation would
give other bytes elsewhere, and the path would lead nowhere.
"""

import os
from pathlib import Path
from typing import Final

from lwmport.targets.compile.job import CompileJob

HERE: Final = "."


def is_apart(job: CompileJob, out: Path) -> bool:
    """Return whether neither the model's folder nor the results lie in the other, and both not in ``job.within``."""
    model, results = job.path.parent.absolute(), out.absolute()
    above = {model, *model.parents} & {results, *results.parents}
    homes = {model, results, *([job.within.absolute()] if job.within else [])}
    return not homes & above


def folder_of(job: CompileJob, out: Path) -> str:
    """Return the model's folder as seen from the results; where they lie apart, as if the model lay among them."""
    return HERE if is_apart(job, out) else os.path.relpath(job.path.parent, out)


def results_of(job: CompileJob, out: Path) -> str:
    """Return the results as seen from the model's folder; where they lie apart, as if the model lay among them."""
    return HERE if is_apart(job, out) else os.path.relpath(out, job.path.parent)
