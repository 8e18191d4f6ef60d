"""Both halves of the debug model through tf2onnx, once for all tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.dialects import DIALECTS
from lwmport.graphs.trace import trace
from lwmport.models.vqgan.components import vqgan_decoder, vqgan_encoder
from lwmport.models.vqgan.config import CONFIGS
from lwmport.types import Artifact, Component, Dialect

PARTS = {"vqgan-encoder": (vqgan_encoder, "dynamic"), "vqgan-decoder": (vqgan_decoder, 1)}
"""Component -> how it is made, and the batch it is converted for."""

ROUTE = DIALECTS["tf2onnx"]


@pytest.fixture(scope="session")
def tools() -> None:
    for module in ("tensorflow", "tf2onnx"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'lwmport[tf]'")


@pytest.fixture(scope="session")
def route() -> Dialect:
    return ROUTE


@pytest.fixture(scope="session")
def parts() -> Mapping[str, tuple[Component, int | str]]:
    return {name: (make(CONFIGS["debug"]), batch) for name, (make, batch) in PARTS.items()}


@pytest.fixture(scope="session")
def through(tools: None, parts: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:  # noqa: ARG001
    """Component -> what the second route made of it."""
    from lwmport.converters.tf2onnx_route.convert import convert

    out = tmp_path_factory.mktemp("through")
    return {name: convert_with(convert, component, batch, ROUTE, out) for name, (component, batch) in parts.items()}


@pytest.fixture(scope="session")
def direct(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Component -> what the direct route made of it."""
    from lwmport.converters.dialects import dialect_for
    from lwmport.converters.onnx.convert import convert

    out, dialect = tmp_path_factory.mktemp("direct"), dialect_for("onnx", "onnx", 18)
    return {name: convert_with(convert, component, batch, dialect, out) for name, (component, batch) in parts.items()}


def convert_with(convert: Any, component: Component, batch: int | str, dialect: Dialect, out: Path) -> Artifact:
    made: Artifact = convert(
        trace(component, batch), SeededWeights(component.weights, 0), dialect, out, lambda *_: None
    )
    return made


@pytest.fixture(scope="session")
def converting() -> Any:
    return convert_with
