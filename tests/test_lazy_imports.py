"""Importing the package or asking for help loads no framework."""

import json
import subprocess
import sys

FRAMEWORKS = {
    "ai_edge_litert",
    "fastapi",
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
    "uvicorn",
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
    ["serve"],
)


def loaded_by(code: str) -> set[str]:
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_no_framework() -> None:
    assert not loaded_by("import lwmport, lwmport.cli") & FRAMEWORKS


def test_help_loads_no_framework() -> None:
    """One process asks for all of them, and says what each has brought."""
    code = (
        "from lwmport.cli.main import cli\n"
        f"for words in {COMMANDS!r}:\n"
        "    try: cli.main([*words, '--help'], standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        f"    brought = {FRAMEWORKS!r} & set(sys.modules)\n"
        "    assert not brought, (words, brought)"
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
