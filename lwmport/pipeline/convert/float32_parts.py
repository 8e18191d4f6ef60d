"""Patterns of operators that stay in float32 are held against the model before anything is written."""

from lwmport.errors import UsageError
from lwmport.models.families import Family
from lwmport.wording import few


def check_parts(family: Family) -> None:
    """Return if each pattern of ``--keep-float32`` is of an operator of some component.

    Raises:
        UsageError: one is of none; the message names modules and kinds of operators that there are.
    """
    options = family.options
    if not options.keep_float32:
        return
    from lwmport.graphs.trace import inputs_of
    from lwmport.models.wide_parts import matches, narrow_program, operator_paths

    paths = [
        path
        for component in family.references
        if component.weights
        for path in operator_paths(
            narrow_program(component, inputs_of(component), options.precision), sorted(component.weights)
        )
    ]
    for pattern in options.keep_float32:
        if not any(matches(path, (pattern,)) for path in paths):
            modules = dict.fromkeys("/".join(path[:-1]) for path in paths if path[:-1])
            kinds = sorted({path[-1] for path in paths})
            raise UsageError(
                f"expected a pattern of a module ({few(modules)}) or of a kind of operator ({few(kinds)}) for "
                f"--keep-float32, found {pattern!r}, which is of none"
            )
