"""Importing the package or asking for help loads no framework."""

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {
    "ai_edge_litert",
    "flatbuffers",
    "flax",
    "jax",
    "jinja2",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "onnxsim",
    "PIL",
    "skimage",
    "tensorflow",
    "torch",
}
COMMANDS = (
    [],
    ["convert"],
    ["check"],
    ["validate"],
    ["report"],
    ["inspect"],
    ["compare"],
    ["plan"],
    ["bench"],
    ["eval", "captions"],
    ["eval", "perplexity"],
    ["eval", "tokens"],
    ["eval", "needle"],
    ["eval", "images"],
    ["checkpoint"],
    ["checkpoint", "make"],
    ["list"],
    ["compile"],
    ["doctor"],
)


def loaded_by(code: str) -> set[str]:
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_no_framework() -> None:
    assert not loaded_by("import lwmport, lwmport.cli") & FRAMEWORKS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_loads_no_framework(words: list[str]) -> None:
    code = (
        "from lwmport.cli.main import cli\n"
        f"try: cli.main({[*words, '--help']!r}, standalone_mode=False)\n"
        "except SystemExit: pass"
    )
    assert not loaded_by(code) & FRAMEWORKS


def test_listing_loads_no_framework() -> None:
    assert not loaded_by("from lwmport.cli.main import cli\ncli.main(['list'], standalone_mode=False)") & FRAMEWORKS


def test_the_probe_sees_a_framework() -> None:
    assert "jax" in loaded_by("import lwmport.graphs.trace")


def test_what_runs_a_model_loads_the_framework_of_its_artifact_alone() -> None:
    """JAX would be 125 MB that a plan of memory does not count."""
    assert not loaded_by("import lwmport\nlwmport.Session, lwmport.load") & FRAMEWORKS


def test_the_api_is_loaded_on_first_use() -> None:
    assert "jax" in loaded_by("import lwmport\nlwmport.convert")
