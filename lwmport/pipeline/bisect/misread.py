"""An operator that reads the weight, or the value, of another one: what stands beside it tells which."""

from lwmport.pipeline.bisect.alike import is_setting
from lwmport.pipeline.bisect.by_values import ValueWalk, Wrong
from lwmport.pipeline.bisect.held_weights import beside, laid_out_as
from lwmport.pipeline.bisect.pool import Entry
from lwmport.pipeline.bisect.regions import Region, Trial, comes_right
from lwmport.pipeline.bisect.repairs import Proof
from lwmport.types import Array


def misread(walk: ValueWalk, wrong: Wrong) -> tuple[Region, Proof] | None:
    """Return the reader of a wrong tensor as the place, if it gives what the reference has with a weight of its own.

    The tensor is known then, and right: it is what the reference has beside that weight. A weight that another operator
    reads rightly is left out, for then it is the tensor that is of another place.
    """
    if wrong.reader < 0 or wrong.tensor not in walk.known.matches:
        return None
    operator = walk.file.operators[wrong.reader]
    for label, result in beside(walk, walk.known.matches[wrong.tensor].entry):
        for place, name in enumerate(operator.inputs):
            if name not in walk.file.constants or is_setting(walk, name):
                continue
            for value in laid_out_as(walk, operator, place, label):
                feeds = {**{one: walk.known.values[one] for one in walk.data(operator)}, name: value}
                made = walk.run(wrong.reader, feeds)
                output = next(filter(None, operator.outputs))
                match = walk.pool.match(made[output]) if output in made else None
                if match is not None and match.entry is result:
                    shown = Wrong(
                        tensor=output, reader=wrong.reader, label=result.label, right=made[output], entry=result
                    )
                    trial = Trial(donor=wrong.reader, feeds=feeds, weight=label, at=place)
                    return Region(walk, shown), Proof(number=wrong.reader, trial=trial, right=made[output])
    return None


def rewired(walk: ValueWalk, wrong: Wrong) -> tuple[Region, Proof] | None:
    """Return the reader of a wrong tensor as the place, if another tensor of the file is what it should read.

    That one is what the reference has beside the weight; with it the reader gives what the reference has, and what
    comes behind is right too: a file may scale a value in front of a weight that the reference scales behind it.
    """
    if wrong.reader < 0 or wrong.entry is None or wrong.tensor not in walk.known.values:
        return None
    operator, known = walk.file.operators[wrong.reader], walk.known
    output, shape = next(filter(None, operator.outputs)), known.values[wrong.tensor].shape
    for name, match in known.matches.items():
        if match.entry is not wrong.entry or name == wrong.tensor or known.values[name].shape != shape:
            continue
        feeds = {**{one: known.values[one] for one in walk.data(operator)}, wrong.tensor: known.values[name]}
        made = walk.run(wrong.reader, feeds).get(output)
        found = None if made is None else walk.pool.match(made)
        if made is not None and found is not None and _goes_on(walk, wrong.reader, made, found.entry):
            shown = Wrong(tensor=output, reader=wrong.reader, label=found.entry.label, right=made, entry=found.entry)
            held = {one: walk.file.constant(one) for one in operator.inputs if one in walk.file.constants}
            names = tuple(name if one == wrong.tensor else one for one in operator.inputs)
            trial = Trial(donor=wrong.reader, feeds={**held, **feeds}, names=names)
            return Region(walk, shown), Proof(number=wrong.reader, trial=trial, right=made)
    return None


def _goes_on(walk: ValueWalk, number: int, made: Array, entry: Entry) -> bool:
    """Return whether what comes behind an operator is right with another output of it."""
    output = next(filter(None, walk.file.operators[number].outputs))
    if output in walk.outputs:
        return walk.is_right(made, walk.outputs[output])
    return comes_right(walk, number, {output: made}, entry)
