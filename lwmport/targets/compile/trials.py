"""What a model is run on when a compiled one is held against it: a user's inputs, or samples that it takes."""

from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.samples import samples
from lwmport.targets.fix.test_inputs import fit
from lwmport.targets.graphs.onnx_file import read
from lwmport.types import Array


def trials(job: CompileJob) -> list[dict[str, Array]]:
    """Return samples: those that are given, or made ones, the first of which the artifact takes.

    Where it refuses some, an integer may be the place of a table's only row: then all integers without a range are 0.
    The ranges of our own models are known.
    """
    if job.given:
        return [dict(feed) for feed in job.given]
    gear = job.gears[0] if job.gears else {}
    made = [samples(job.signature.inputs, gear, masks=masks) for masks in ((True,) if job.own else (True, False))]
    if job.own or job.format != "onnx":
        return made
    graph = read(job.path)
    fitted = [{name: fit(name, array, graph) for name, array in feed.items()} for feed in made]
    return [*fitted, *made]
