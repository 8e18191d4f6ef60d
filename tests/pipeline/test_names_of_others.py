"""Components of somebody else's family that call their weights alike, or that a checkpoint calls otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

import lwmport
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import PortError, UsageError
from lwmport.models import specs
from lwmport.models.families import resolve
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.convert.sharing import shared_data
from lwmport.types import Array, Status

SIZE = 32
LAYERS = 2

SOURCE = f"""
from dataclasses import dataclass
from jax import numpy as jnp
from lwmport.models.configuration import PlainConfig
from lwmport.models.spec import FamilySpec, PartSpec, Stacking
from lwmport.types import Component, Signature, TensorSpec, WeightSpec

@dataclass(frozen=True, kw_only=True)
class Config(PlainConfig):
    stacked: bool = True
    axis: int = 0

CONFIGS = {{"first": Config(), "second": Config(axis=1), "apart": Config(stacked=False)}}
SHAPE = ({SIZE}, {SIZE})

def made(name, names, edges="xy", feeder=None):
    def apply(weights, inputs):
        x = inputs[edges[0]]
        for key in names:
            x = jnp.tanh(x @ weights[key])
        return {{edges[1]: x}}
    takes, gives = (TensorSpec(name=key, shape=("batch", {SIZE}), dtype="float32") for key in edges)
    weights = {{key: WeightSpec(shape=SHAPE, dtype="float32") for key in names}}
    signature = Signature(inputs=(takes,), outputs=(gives,))
    return Component(
        name=name, family="theirs", signature=signature, weights=weights, config={{}}, apply=apply, feeder=feeder
    )

def ta(*_): return made("ta", ("w",))
def tb(*_): return made("tb", ("w",))
def tc(*_): return made("tc", ("v",))
def raises(*_): return {{}}["no such key"]
def layers(*_): return made("layers", ("h/0/w", "h/1/w"))
def fed(*_): return made("fed", ("tower/h/0/w", "tower/h/1/w"), feeder=made("ta", ("w",), "zx"))

def weights(config):
    alone = {{f"{{tower}}/w": WeightSpec(shape=SHAPE, dtype="float32") for tower in "ab"}}
    if not config.stacked:
        return {{**alone, **{{f"tower/h/{{i}}/w": WeightSpec(shape=SHAPE, dtype="float32") for i in range({LAYERS})}}}}
    shape = [*SHAPE]
    shape.insert(config.axis, {LAYERS})
    return {{**alone, "tower/h/all/w": WeightSpec(shape=tuple(shape), dtype="float32")}}

def sources(config):
    found = {{f"tower/h/{{i}}/w": ("tower/h/all/w", config.axis, i) for i in range({LAYERS})}}
    return found if config.stacked else {{}}

PARTS = (
    PartSpec(name="ta", summary="", factory="theirs:ta", prefix="a/"),
    PartSpec(name="tb", summary="", factory="theirs:tb", prefix="b/"),
    PartSpec(name="tc", summary="", factory="theirs:tc", prefix="a/", rename={{"v": "w"}}),
    PartSpec(name="layers", summary="", factory="theirs:layers", prefix="tower/"),
    PartSpec(name="fed", summary="", factory="theirs:fed"),
    PartSpec(name="absent", summary="", factory="theirs:taa"),
    PartSpec(name="raising", summary="", factory="theirs:raises"),
    PartSpec(name="empty", summary="", factory="theirs:weights"),
)
FAMILY = FamilySpec(
    name="theirs", components=PARTS, groups={{"towers": ("ta", "tb"), "twins": ("ta", "tc")}},
    configs="theirs:CONFIGS", weights="theirs:weights", sources="theirs:sources",
    stacking=Stacking(flag="stacked", axis="axis"),
)
"""

FACTORIES = {
    "absent": "expected 'theirs:taa' of the family 'theirs' of theirs to lead to something, found AttributeError: ",
    "raising": "expected an answer of 'theirs:raises' of the family 'theirs' of theirs, found KeyError: 'no such key'",
    "empty": "expected an answer of 'theirs:weights' of the family 'theirs' of theirs, found TypeError: ",
}
"""Component whose factory is broken -> what is said."""


@pytest.fixture(autouse=True)
def _installed(install_package: Callable[..., None]) -> None:
    install_package("theirs", "theirs", SOURCE, specs.GROUP, {"theirs": "FAMILY"})


def arrays(config: str) -> dict[str, Array]:
    """Return a checkpoint of the whole family."""
    rng = np.random.default_rng(0)
    weights = resolve("towers", config).weights
    return {name: rng.standard_normal(spec.shape, np.float32) / 8 for name, spec in weights.items()}


def converted(component: str, out: Path, **fields: Any) -> Any:
    made = lwmport.convert(lwmport.Request(component=component, format="onnx", out=out, **fields))
    assert made.status is Status.PASSED
    return made


def computed(path: Path) -> Array:
    """Return tanh of the first layer's weights, and so on: what a component makes of the unit matrix."""
    return np.asarray(lwmport.load(path).run(x=np.eye(SIZE, dtype=np.float32)[:1])["y"])


def locations(path: Path) -> dict[str, tuple[str, str]]:
    """Return the file and the offset of every external tensor."""
    found = {}
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        found[tensor.name] = entries["location"], entries["offset"]
    return found


def test_two_towers_that_call_their_weights_alike_keep_their_own(tmp_path: Path) -> None:
    there = arrays("first")
    save_file(there, tmp_path / "whole.safetensors")
    converted("towers", tmp_path / "out", checkpoint=str(tmp_path / "whole.safetensors"))
    for name, tensor in {"ta": "a/w", "tb": "b/w"}.items():
        np.testing.assert_allclose(computed(tmp_path / "out" / f"{name}.onnx"), np.tanh(there[tensor][:1]), rtol=1e-5)


def test_two_components_share_what_has_one_name_in_the_checkpoint(tmp_path: Path) -> None:
    dialect = DIALECTS["onnx"]
    assert shared_data("towers", resolve("towers"), dialect) is None
    there = arrays("first")
    save_file(there, tmp_path / "whole.safetensors")
    converted("twins", tmp_path / "out", checkpoint=str(tmp_path / "whole.safetensors"))
    place = {"twins-weights.onnx.data"}
    found = {name: locations(tmp_path / "out" / f"{name}.onnx") for name in ("ta", "tc")}
    assert {name for places in found.values() for name, _ in places.values()} == place
    assert found["ta"]["w"] == found["tc"]["v"]
    for name in found:
        np.testing.assert_allclose(computed(tmp_path / "out" / f"{name}.onnx"), np.tanh(there["a/w"][:1]), rtol=1e-5)


@pytest.mark.parametrize("config", ["first", "second", "apart"])
def test_layers_of_a_prefix_are_found_in_their_stack(config: str, tmp_path: Path) -> None:
    there = arrays(config)
    save_file(there, tmp_path / "whole.safetensors")
    converted("layers", tmp_path / "out", config=config, checkpoint=str(tmp_path / "whole.safetensors"))
    if config == "apart":
        layers = [there[f"tower/h/{i}/w"] for i in range(LAYERS)]
    else:
        layers = list(np.moveaxis(there["tower/h/all/w"], int(config == "second"), 0))
    wanted = np.eye(SIZE, dtype=np.float32)[:1]
    for layer in layers:
        wanted = np.tanh(wanted @ layer)
    np.testing.assert_allclose(computed(tmp_path / "out" / "layers.onnx"), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", ["first", "second", "apart"])
def test_seeded_layers_are_those_of_a_seeded_checkpoint(config: str, tmp_path: Path) -> None:
    make(Recipe(component="layers", config=config), tmp_path / "made")
    assert dict(open_checkpoint(tmp_path / "made").specs) == dict(resolve("layers", config).weights)
    converted("layers", tmp_path / "read", config=config, checkpoint=str(tmp_path / "made"))
    converted("layers", tmp_path / "seeded", config=config)
    read, seeded = (computed(tmp_path / folder / "layers.onnx") for folder in ("read", "seeded"))
    np.testing.assert_array_equal(read, seeded)


def test_a_feeder_has_seeded_weights_beside_stacked_layers(tmp_path: Path) -> None:
    made = converted("fed", tmp_path / "out")
    assert made.report.components[0].validation.inputs.startswith("outputs of ta for ")


def test_the_first_configuration_is_meant_where_the_family_names_no_usual_one() -> None:
    assert resolve("ta").config == resolve("ta", "first").config == {"stacked": True, "axis": 0}
    with pytest.raises(UsageError, match="out of first, second, apart, found 'third'"):
        resolve("ta", "third")


@pytest.mark.parametrize("component", FACTORIES)
def test_a_broken_factory_is_one_line(component: str) -> None:
    with pytest.raises(PortError) as caught:
        resolve(component)
    assert str(caught.value).startswith(FACTORIES[component])
    assert "\n" not in str(caught.value)


def test_a_broken_factory_fails_no_other_component(install_package: Callable[..., None], tmp_path: Path) -> None:
    record = """
from dataclasses import replace
from theirs import FAMILY, made
def good(*_): return replace(made("good", ("w",)), family="halves")
parts = tuple(replace(FAMILY.components[0], name=name, factory=f"halves:{name}") for name in ("good", "bad"))
HALVES = replace(FAMILY, name="halves", components=parts, groups={}, weights="", sources="", stacking=None)
"""
    install_package("halves", "halves", record, specs.GROUP, {"halves": "HALVES"})
    converted("good", tmp_path / "out")
    said = "expected 'halves:bad' of the family 'halves' of halves to lead to something, found AttributeError: module"
    with pytest.raises(PortError, match=said):
        make(Recipe(component="good"), tmp_path / "made")
