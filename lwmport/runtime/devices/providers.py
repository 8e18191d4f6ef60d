"""ONNX Runtime on a device: a session whose nodes run there, proven by its own profile, or an error."""

import contextlib
import json
import os
import shutil
import tempfile
import warnings
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.runners.onnxruntime import specs_of
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array

NO_FALLBACK: Final = ("session.disable_cpu_ep_fallback", "1")

CACHE: Final = "migraphx_model_cache_dir"
WITH_CACHE: Final = (1, 22)
"""The first ONNX Runtime whose MIGraphX provider has `CACHE`. Hygon's is 1.19.2: it would refuse an option that it does
not know, so there each session compiles."""

HINTS: Final = {
    "libascendcl.so": "source set_env.sh of CANN",
    "libmigraphx_c.so": "install the ROCm that this wheel was built for, or source /opt/dtk/env.sh on a DCU",
    "libhipblas.so": "install the ROCm that this wheel was built for; it does not work on a DCU",
    "libgalaxyhip.so": "source /opt/dtk/env.sh",
    "create CANN ExecutionProvider fail": "source set_env.sh of CANN, whose libraries it loads",
    "fallback to CPU": "the provider's libraries do not load ('lwmport doctor' says why), or it lacks an operator "
    "('lwmport check' says which)",
    "not in available provider names": "this onnxruntime was built without it: install the vendor's own, alone",
}


class ProviderRunner(BaseRunner):
    """Runs an ONNX file by one execution provider, wholly.

    That a provider is available proves nothing: a session that cannot have it runs on the CPU and says so only in its
    log. So fallback is forbidden, the session's first provider must be the one asked for, and the profile of the
    first run must show each node there.

    Raises:
        RunnerError: the provider refuses the model, or the session would run elsewhere.
    """

    def __init__(self, path: Path, provider: str, options: Mapping[str, str] | None = None, threads: int = 1) -> None:
        self.name = f"ONNX Runtime, {provider}"
        self._provider = provider
        folder = tempfile.mkdtemp(prefix="lwmport-profile-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._profiled = False
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "profile")
        settings.add_session_config_entry(*NO_FALLBACK)
        try:
            with _quiet():
                self._session = onnxruntime.InferenceSession(
                    str(path), settings, providers=[(provider, dict(options or {}))], enable_fallback=False
                )
            self._session.disable_fallback()
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise RunnerError(f"{provider} refused {path}: {one_line(error)}{_hint(str(error))}") from error
        found = self._session.get_providers()
        if not found or found[0] != provider:
            raise RunnerError(
                f"expected a session of {provider}, found {', '.join(found) or 'none'}: it fell back, which its log "
                f"explains; available: {', '.join(onnxruntime.get_available_providers())}"
            )
        self.inputs, self.outputs = specs_of(self._session)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            found = self._session.run([spec.name for spec in self.outputs], dict(inputs))
        except Exception as error:  # as above
            raise RunnerError(f"{self._provider} failed on the inputs: {one_line(error)}") from error
        if not self._profiled:
            self._prove()
        return {spec.name: np.asarray(value) for spec, value in zip(self.outputs, found, strict=True)}

    def _release(self) -> None:
        del self._session
        self._remove()

    def _prove(self) -> None:
        """Return if each node of the first run was the provider's."""
        profile = Path(self._session.end_profiling())
        placed = placement(profile)
        profile.unlink(missing_ok=True)
        elsewhere = {name: nodes for name, nodes in placed.items() if name != self._provider}
        if elsewhere or not placed.get(self._provider):
            parts = [f"{sum(nodes.values())} nodes on {name} ({_most(nodes)})" for name, nodes in elsewhere.items()]
            raise RunnerError(
                f"expected each node on {self._provider}, found {' and '.join(parts) or 'no node in the profile'}; run "
                "'lwmport check' for the target, and convert in its dialect"
            )
        self._profiled = True


def open_cann(path: Path, context: RunnerContext) -> ProviderRunner:
    """Return an ONNX file on CANN's provider, by the options that ``lwmport compile --target ascend`` wrote.

    Raises:
        RunnerError: there are no such options, or the provider refuses the model.
    """
    return _opened(path, context, ("CANNExecutionProvider", "cann", "ascend"))


def open_migraphx(path: Path, context: RunnerContext) -> ProviderRunner:
    """Return an ONNX file on MIGraphX's provider, by the options that ``lwmport compile --target migraphx`` wrote.

    Raises:
        RunnerError: there are no such options, or the provider refuses the model.
    """
    return _opened(path, context, ("MIGraphXExecutionProvider", "migraphx", "migraphx"))


def _opened(path: Path, context: RunnerContext, whose: tuple[str, str, str]) -> ProviderRunner:
    """Return a runner by the options in ``NAME.WORD.json``: those that are named, else those beside the model."""
    provider, word, target = whose
    name = f"{path.stem}.{word}.json"
    places = (path.parent / name, path.parent / target / name)
    document = context.options or next((place for place in places if place.is_file()), None)
    if document is None:
        raise RunnerError(
            f"expected the options of {provider} in {places[0]} or {places[1]}, found neither; "
            f"run: lwmport compile {path} --target {target} --dry-run"
        )
    runner = open_provider(path, document, context.threads, provider)
    runner.notes = (f"Options of {provider}: {document.name}.",)
    return runner


def open_provider(path: Path, document: Path, threads: int = 1, expected: str = "") -> ProviderRunner:
    """Return a runner by the options that ``lwmport compile`` wrote: provider, options, environment.

    Raises:
        RunnerError: the document is none of ours or of another provider than ``expected``, or the provider refuses the
            model.
    """
    try:
        found = json.loads(document.read_bytes())
        provider, options = str(found["provider"]), {str(key): str(value) for key, value in found["options"].items()}
        environment = {str(key): str(value) for key, value in found.get("environment", {}).items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise RunnerError(f"expected a provider's options at {document}, found: {one_line(error)}") from error
    if expected and provider != expected:
        raise RunnerError(f"expected the options of {expected} at {document}, found those of {provider}")
    if tuple(int(part) for part in onnxruntime.__version__.split(".")[:2]) < WITH_CACHE:
        options.pop(CACHE, None)
    for name, value in environment.items():
        if name.startswith("ORT_"):
            os.environ.setdefault(name, value)
    return ProviderRunner(path, provider, options, threads)


def placement(profile: Path) -> dict[str, Counter[str]]:
    """Return, for each provider in a profile of ONNX Runtime, how many runs of each operator it had."""
    found: dict[str, Counter[str]] = {}
    for event in json.loads(profile.read_bytes()):
        arguments: Mapping[str, Any] = event.get("args") or {}
        if event.get("cat") == "Node" and arguments.get("provider"):
            found.setdefault(str(arguments["provider"]), Counter())[str(arguments.get("op_name", "?"))] += 1
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing about a provider that is unknown: the session's own list of providers says it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _most(nodes: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in nodes.most_common(4))


def _hint(said: str) -> str:
    return next((f"; {fix}" for phrase, fix in HINTS.items() if phrase in said), "")
