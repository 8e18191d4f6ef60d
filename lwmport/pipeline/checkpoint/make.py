"""Making checkpoints: seeded weights in a family's own formats, for trials without the real ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.checkpoints import sidecar
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.unstacked import layer_specs
from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.models.families import Family, resolve
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.trees import arranged, restacked
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_new
from lwmport.registry import check_known
from lwmport.types import Weights, WeightSpec

DTYPES: Final = ("float32", "bfloat16", "float16")
"""What a checkpoint's tensors may be written in."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A seeded checkpoint that is to be made.

    Attributes:
        component: whose weights; the whole model's are written.
        seed: the same seed gives the same bytes, and for a model the same numbers in whatever form.
        config: the name of a configuration, or the path of one in JSON.
        settings: changes of it, ``field=value`` each.
        form: a format out of `WRITERS`; None for the family's own.
        dtype: of every tensor, out of `DTYPES`.
        stacked: whether the layers are one tensor; None for what the configuration says.

    Raises:
        UsageError: an unknown format or dtype.
    """

    component: str
    seed: int = 0
    config: str = "lwm"
    settings: tuple[str, ...] = ()
    form: str | None = None
    dtype: str = "float32"
    stacked: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what no writer knows, and give everything that has a name its one name."""
        settle(self)
        check_known("dtype", self.dtype, DTYPES)
        if self.form is not None:
            check_known("checkpoint format", self.form, WRITERS)


def make(recipe: Recipe, out: Path, observer: Observer | None = None) -> Weights:
    """Write seeded weights of a whole model to one new file, none of them held whole, and return them.

    Beside it goes what no tensor tells: the configuration, and the seed (`lwmport.checkpoints.sidecar`).

    Raises:
        UsageError: there is a file already: it may be a real checkpoint.
        PortError: an unknown component or configuration, layers to stack where there are none, or the file cannot be
            written.
    """
    check_new(out)
    sidecar.check_free(out)
    family = resolve(recipe.component, recipe.config, Options(settings=recipe.settings))
    wanted = restacked(family, recipe.component, stacked=recipe.stacked)
    weights = _weights(wanted, recipe)
    total = sum(spec.nbytes for spec in weights.specs.values())
    observer = observer or Silent()
    observer.phase(f"write {weights.source['description']} to {out}")
    form = recipe.form or family.spec.native

    def beside(file: Path) -> None:
        sidecar.write_beside(open_checkpoint(file), family.spec.name, wanted.config, recipe.seed)

    write_checkpoint(weights, out, form, lambda name, done: observer.progress(name, done, total), beside)
    return weights


def _weights(family: Family, recipe: Recipe) -> Weights:
    """Return the tensors to write. A layer has the same numbers wherever it is: alone, or in a stack on either axis."""
    return arranged(family, SeededWeights(_typed(layer_specs(family), recipe.dtype), recipe.seed))


def _typed(specs: Mapping[str, WeightSpec], dtype: str) -> dict[str, WeightSpec]:
    return {name: WeightSpec(shape=spec.shape, dtype=dtype) for name, spec in specs.items()}
