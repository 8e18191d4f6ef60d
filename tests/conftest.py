"""What tests of several rooms share: weights, small components, JAX's answer, packages of others, and a browser."""

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.types import Array, Component, Signature, TensorSpec, WeightSpec

CACHE = {"jax_persistent_cache_min_compile_time_secs": 0.05, "jax_persistent_cache_min_entry_size_bytes": -1}
"""Many tests compile the same small models: what one process has compiled, the others read."""

QUICK = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
"""LLVM optimizes nothing, and a program is one module: compiling a small model takes longer than all its runs."""


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("XLA_FLAGS", QUICK)
    if not hasattr(config, "workerinput") and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="lwmport-tests-")
        config.add_cleanup(folder.cleanup)
        for name, value in {"jax_compilation_cache_dir": folder.name, **CACHE}.items():
            os.environ[name.upper()] = str(value)
            jax.config.update(name, value)  # here JAX has read the environment already


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the documents, whose tests take minutes each: at the end one processor would wait for the other."""
    items.sort(key=lambda item: "test_documents.py" not in item.nodeid)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays to the end, and come less often: it took a seventh of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 50)


class WeightsInMemory:
    """Weights (`lwmport.types.Weights`) that are simply there, and remember which of them were read."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)
        self.specs = {name: WeightSpec(shape=a.shape, dtype=a.dtype.name) for name, a in self._arrays.items()}
        self.source: dict[str, Any] = {"kind": "test", "description": "a test's arrays"}
        self.reads: list[str] = []

    def read(self, name: str) -> Array:
        self.reads.append(name)
        return self._arrays[name]


def as_component(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    weights: Mapping[str, Any] | None = None,
    *,
    dynamic: bool = False,
    name: str = "small",
) -> Component:
    """Return ``function(*inputs, **weights)`` as a component: inputs x0, x1, ..., outputs y0, y1, ...

    Inputs and weights need shape and dtype only. With ``dynamic`` the first axis of every input and output is the
    batch.
    """
    weights = weights or {}
    abstract = {key: jax.ShapeDtypeStruct(value.shape, value.dtype) for key, value in weights.items()}
    made = jax.eval_shape(function, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs), **abstract)

    def spec(key: str, like: Any) -> TensorSpec:
        shape = ("batch", *like.shape[1:]) if dynamic else like.shape
        return TensorSpec(name=key, shape=shape, dtype=str(np.dtype(like.dtype)))

    signature = Signature(
        inputs=tuple(spec(f"x{i}", x) for i, x in enumerate(inputs)),
        outputs=tuple(spec(f"y{i}", y) for i, y in enumerate(_as_tuple(made))),
    )

    def apply(given: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        found = function(*(arrays[item.name] for item in signature.inputs), **given)
        return {f"y{i}": y for i, y in enumerate(_as_tuple(found))}

    specs = {key: WeightSpec(shape=value.shape, dtype=str(np.dtype(value.dtype))) for key, value in weights.items()}
    return Component(name=name, family="test", signature=signature, weights=specs, config={}, apply=apply)


def with_jax(component: Component, weights: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return JAX's own outputs; LLVM's optimizations are off, for compiling takes longer than these runs."""
    given = {name: weights.read(name) for name in component.weights}
    run = jax.jit(component.apply, compiler_options={"xla_backend_optimization_level": 0})
    return {name: np.asarray(value) for name, value in run(given, dict(inputs)).items()}


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


@pytest.fixture(scope="session")
def trained_vqgan() -> Path:
    """Return the checkpoint of a small VQGAN that was trained: tests/data/trained_vqgan/README.md."""
    return Path(__file__).parent / "data" / "trained_vqgan" / "vqgan.safetensors"


@pytest.fixture(scope="session")
def weights_of() -> type[WeightsInMemory]:
    return WeightsInMemory


@pytest.fixture(scope="session")
def component_of() -> Callable[..., Component]:
    return as_component


@pytest.fixture(scope="session")
def jax_outputs() -> Callable[..., dict[str, Array]]:
    return with_jax


@pytest.fixture
def install_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what installs a package of one module as an installer does, on the search path of Python.

    It takes the package's name, the module's name and source, the entry-point group, and entry -> attribute.
    """

    def install(package: str, module: str, source: str, group: str, entries: Mapping[str, str]) -> None:
        folder = tmp_path / "site" / package
        info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        lines = "".join(f"{name} = {module}:{attribute}\n" for name, attribute in entries.items())
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}", encoding="utf-8")
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install 'lwmport[dev]'"
    )
    if not (BROWSER.exists() and DRIVER.exists()):
        pytest.skip("chromium is missing: apt-get install chromium chromium-driver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()
