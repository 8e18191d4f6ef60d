"""ONNX Runtime's providers: a session that is not on the device is an error, in each way that it can happen."""

import json
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from lwmport.errors import RunnerError
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.runtime.devices.providers import ProviderRunner, open_provider, placement
from lwmport.runtime.registry import RUNNERS
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.providers import provider_file

CANN, CPU = "CANNExecutionProvider", "CPUExecutionProvider"
X = {"x": np.ones((1, 2), np.float32)}


class Session:
    """A stand-in for ONNX Runtime's session, which does what one of the known builds does."""

    def __init__(self, behaviour: dict[str, Any], settings: Any, providers: list[Any], **options: Any) -> None:
        self.behaviour, self.settings = behaviour, settings
        if "raises" in behaviour:
            raise RuntimeError(behaviour["raises"])
        assert options == {"enable_fallback": False}, "by itself the session tries again on the CPU"
        self.providers = behaviour.get("providers", [providers[0][0], CPU])
        self.options = providers[0][1]
        self.runs = 0

    def disable_fallback(self) -> None:
        self.behaviour["forbidden"] = True

    def get_providers(self) -> list[str]:
        return list(self.providers)

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="x", shape=["batch", 2], type="tensor(float)")]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="y", shape=["batch", 2], type="tensor(float)")]

    def run(self, _names: list[str], inputs: dict[str, Any]) -> list[Any]:
        self.runs += 1
        if "fails" in self.behaviour:
            raise RuntimeError(self.behaviour["fails"])
        return [inputs["x"] * 2]

    def end_profiling(self) -> str:
        events = self.behaviour.get("nodes", [(CANN, "CANN_0")] if self.runs else [])
        rows = [{"cat": "Node", "name": op, "args": {"provider": name, "op_name": op}} for name, op in events]
        rows += [{"cat": "Node", "name": "fence", "args": {}}, {"cat": "Session", "name": "session"}]
        path = Path(f"{self.settings.profile_file_prefix}.json")
        path.write_text(json.dumps(rows))
        return str(path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ProviderRunner]:
    def make(**behaviour: Any) -> ProviderRunner:
        def session(_path: str, settings: Any, **options: Any) -> Session:
            assert settings.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
            return Session(behaviour, settings, **options)

        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        return ProviderRunner(tmp_path / "model.onnx", CANN, {"device_id": "0"})

    return make


def test_a_session_on_the_device(opened: Callable[..., ProviderRunner]) -> None:
    behaviour: dict[str, Any] = {"nodes": [(CANN, "CANN_0"), (CANN, "CANN_1")]}
    runner = opened(**behaviour)
    assert runner.name == f"ONNX Runtime, {CANN}"
    for _ in range(2):
        assert runner.run(X)["y"].tolist() == [[2, 2]]


REFUSALS = {
    "silently on the CPU": ({"providers": [CPU]}, "it fell back"),
    "the CPU first": ({"providers": [CPU, CANN]}, "it fell back"),
    "a library is missing": (
        {"raises": "Failed to load library libonnxruntime_providers_cann.so with error: libascendcl.so: cannot open"},
        "source set_env.sh",
    ),
    "nodes on the CPU, forbidden": (
        {"raises": "This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP"},
        "lwmport check",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_session_that_is_elsewhere_is_refused(name: str, opened: Callable[..., ProviderRunner]) -> None:
    behaviour, message = REFUSALS[name]
    with pytest.raises(RunnerError, match=message):
        opened(**behaviour)


PLACES = {
    "one node on the CPU": ([(CANN, "CANN_0"), (CPU, "Resize")], "1 nodes on CPUExecutionProvider .1 Resize."),
    "all on the CPU": ([(CPU, "Conv"), (CPU, "Conv"), (CPU, "Add")], "3 nodes on CPUExecutionProvider .2 Conv, 1 Add."),
    "nothing proven": ([], "no node in the profile"),
}


@pytest.mark.parametrize("name", PLACES)
def test_nodes_that_ran_elsewhere_are_an_error(name: str, opened: Callable[..., ProviderRunner]) -> None:
    nodes, message = PLACES[name]
    with pytest.raises(RunnerError, match=message):
        opened(nodes=nodes).run(X)


def test_a_failing_run_is_one_line(opened: Callable[..., ProviderRunner]) -> None:
    with pytest.raises(RunnerError, match="CANNExecutionProvider failed on the inputs: a b"):
        opened(fails="a\nb").run(X)
    with pytest.raises(RunnerError, match="expected x as float32"):
        opened().run({"x": np.ones((1, 3), np.float32)})


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decoder")
    convert(ConvertRequest(component="vqgan-decoder", format="onnx", config="debug", out=out, validate=False))
    return out / "vqgan-decoder.onnx"


@pytest.mark.parametrize("provider", [CANN, "MIGraphXExecutionProvider", "ROCMExecutionProvider"])
def test_the_real_runtime_without_the_provider(provider: str, decoder: Path) -> None:
    with warnings.catch_warnings(), pytest.raises(RunnerError, match=f"(expected a session of )?{provider}"):
        ProviderRunner(decoder, provider)


def test_placement_reads_a_real_profile(decoder: Path, tmp_path: Path) -> None:
    settings = onnxruntime.SessionOptions()
    settings.enable_profiling = True
    settings.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(str(decoder), settings, providers=[CPU])
    session.run(None, {"codebook_indices": np.zeros((1, 16, 16), np.int32)})
    found = placement(Path(session.end_profiling()))
    assert set(found) == {CPU}
    assert isinstance(found[CPU], Counter)
    assert found[CPU]["Conv"] > 4


def test_options_that_compile_wrote_open_a_session(
    opened: Callable[..., ProviderRunner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lwmport.targets.compile.providers import provider_file

    opened()
    monkeypatch.delenv("ORT_MIGRAPHX_MODEL_CACHE_PATH", raising=False)
    document = tmp_path / "model.cann.json"
    document.write_bytes(provider_file(CANN, "float16", "model"))
    runner = open_provider(tmp_path / "model.onnx", document)
    assert runner._session.options["precision_mode"] == "force_fp16"


@pytest.mark.parametrize(("version", "kept"), [("1.19.2", False), ("1.27.1", True)])
def test_an_older_runtime_gets_no_option_that_it_does_not_know(
    version: str, *, kept: bool, opened: Callable[..., ProviderRunner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lwmport.targets.compile.providers import provider_file

    opened()
    monkeypatch.setenv("ORT_MIGRAPHX_MODEL_CACHE_PATH", str(tmp_path))
    monkeypatch.setattr(onnxruntime, "__version__", version)
    document = tmp_path / "model.migraphx.json"
    document.write_bytes(provider_file("MIGraphXExecutionProvider", "float16", "model"))
    options = open_provider(tmp_path / "model.onnx", document)._session.options
    assert ("migraphx_model_cache_dir" in options, options["migraphx_fp16_enable"]) == (kept, "1")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"provider": "x"}', '{"provider": "x", "options": 3}'])
def test_other_documents_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(RunnerError, match="expected a provider's options"):
        open_provider(tmp_path / "model.onnx", tmp_path / "options.json")


OPENERS = {
    "onnxruntime-cann": ("CANNExecutionProvider", "cann", "ascend"),
    "onnxruntime-migraphx": ("MIGraphXExecutionProvider", "migraphx", "migraphx"),
}


@pytest.mark.parametrize("name", OPENERS)
def test_the_options_lie_beside_the_model_or_where_compile_writes_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, word, target = OPENERS[name]
    monkeypatch.setenv("ORT_MIGRAPHX_MODEL_CACHE_PATH", str(tmp_path))
    model, behaviour = tmp_path / "model.onnx", {"nodes": [(provider, "All")]}
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda _path, settings, **options: Session(behaviour, settings, **options)
    )
    with pytest.raises(RunnerError, match=rf"run: lwmport compile .*model\.onnx --target {target} --dry-run"):
        RUNNERS[name].open(model, RunnerContext())
    document = tmp_path / target / f"model.{word}.json"
    document.parent.mkdir()
    document.write_bytes(provider_file(provider, "float32", "model"))
    runner = RUNNERS[name].open(model, RunnerContext())
    assert runner.notes == (f"Options of {provider}: model.{word}.json.",)
    assert runner.run(X)["y"].tolist() == [[2, 2]]
    runner.close()
    document.write_bytes(provider_file("OtherExecutionProvider", "float32", "model"))
    with pytest.raises(RunnerError, match=f"expected the options of {provider} at .*, found those of Other"):
        RUNNERS[name].open(model, RunnerContext())


def test_a_closed_session_leaves_no_profile(opened: Callable[..., ProviderRunner]) -> None:
    runner = opened(nodes=[(CANN, "CANN_0")])
    folder = Path(runner._session.settings.profile_file_prefix).parent
    runner.run(X)
    assert folder.is_dir()
    runner.close()
    assert not folder.exists()
