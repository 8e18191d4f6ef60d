"""The structural difference of two components, checkpoints or artifacts, ours or not; no weight is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lwmport.errors import UsageError
from lwmport.models.families import USUAL
from lwmport.pipeline.compare.difference import compared
from lwmport.pipeline.compare.for_targets import meanings
from lwmport.pipeline.compare.sides import side_of
from lwmport.pipeline.compare.structure import together
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.reports.comparison.files import check_pages, write_pages
from lwmport.reports.comparison.record import Comparison
from lwmport.requests import by_fields, check_types


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What to compare, and what with.

    Attributes:
        a: ``COMPONENT``, ``COMPONENT:OPTION=VALUE,...``, or the path of a model, of a folder of models, or of a
            checkpoint.
        b: the same.
        config: the configuration of components that name none of their own.
        sizes: dynamic size -> the number that the cost is counted for. By default a batch is 1, any other size 128.
        out: the folder for the page; None for no page.
    """

    a: str
    b: str
    config: str = USUAL
    sizes: Mapping[str, int] = field(default_factory=dict)
    out: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and sizes that no tensor has."""
        check_types(self)
        for name, size in self.sizes.items():
            if size < 1:
                raise UsageError(f"expected a size of at least 1 for {name}, found {size}")


@by_fields(CompareRequest)
def compare(request: CompareRequest, observer: Observer | None = None) -> Comparison:
    """Compare two structures: modules, parameters, operators, shapes, dtypes, cost, and what it means for each target.

    Nothing in the files is executed and no weight is loaded.

    Raises:
        PortError: a side is missing, damaged, or none that can be compared.
        UsageError: options that there are not, or a folder that cannot be written.
        MissingExtraError: a page is asked for, and what places its boxes is not installed.
    """
    observer = observer or Silent()
    if request.out is not None:
        check_writable(request.out)
        check_pages(request.out)
    a, b = side_of(request.a, request.config), side_of(request.b, request.config)
    observer.phase(f"read {request.a}")
    parts_a = a.read(request.sizes)
    observer.phase(f"read {request.b}")
    parts_b = b.read(request.sizes)
    observer.phase("ask the targets about both")
    found = compared(*together(parts_a, parts_b), (request.a, request.b), meanings(a, b))
    if request.out is not None:
        observer.phase(f"draw the modules into {request.out}")
        write_pages(found, request.out)
    return found
