"""The scripts of ``lwmport completion``, and the values that they ask for, as each shell asks for them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwmport.cli.completion import SHELLS
from lwmport.cli.main import cli
from lwmport.converters import CONVERTERS
from lwmport.models.families import MODELS, NAMES, config_names
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.registry import TARGETS

ASKED: dict[str, dict[str, str]] = {
    "bash": {"COMP_WORDS": "{line}", "COMP_CWORD": "{number}"},
    "zsh": {"COMP_WORDS": "{line}", "COMP_CWORD": "{number}"},
    "fish": {"COMP_WORDS": "{line}", "COMP_CWORD": "{last}"},
}
"""Shell -> what its script sets."""

VALUES: dict[str, tuple[str, ...]] = {
    "convert --component ": tuple(NAMES),
    "convert --component VQGAN-": ("vqgan-decoder", "vqgan-encoder"),
    "convert --to ": tuple(CONVERTERS),
    "convert --to HF --dialect ": ("awq", "gptq", "hf", "mindie"),
    "port --target Zhouyi --dialect ": ("aipu",),
    "port --target ": tuple(TARGETS),
    "port --target DCU --soc GFX93": ("gfx936",),
    "check x --target ascend --soc ascend310b": ("Ascend310B1", "Ascend310B2", "Ascend310B3", "Ascend310B4"),
    "compile x --target cpu --soc ": TARGETS["cpu"].engine_names("onnx"),
    "validate x --runner LIT": ("litert",),
    "verify x --runner ": tuple(RUNNERS),
    "convert --precision b": ("bfloat16",),
    "convert --attention ": ("fused", "loop", "unrolled"),
    "convert --taps L": ("layers",),
    "convert --via ": ("tf2onnx",),
    "check x --precision ": ("float16", "bfloat16", "float32"),
    "bundle x --target asc": ("ascend",),
    "doctor --target m": ("migraphx",),
    "checkpoint convert x --to s": ("safetensors",),
    "checkpoint make --dtype f": ("float32", "float16"),
    "convert --component vqgan --config d": ("debug",),
    "completion ": SHELLS,
    "checkpoint ": ("convert", "make"),
    "port --target npu --soc ": (),
    "plan ": (*MODELS, *NAMES),
    "plan LLaVA-1": ("llava-1.5-7b", "llava-1.5-13b"),
}


def values(shell: str, line: str) -> list[str]:
    """Return the plain values that a shell gets for a line, in this process."""
    words = line.split(" ")
    asked = {"line": f"lwmport {line}", "number": str(len(words)), "last": words[-1]}
    variables = {name: form.format(**asked) for name, form in ASKED[shell].items()}
    found = CliRunner().invoke(
        cli, [], prog_name="lwmport", env={"_LWMPORT_COMPLETE": f"{shell}_complete", **variables}
    )
    assert "rror" not in found.output
    lines = found.output.splitlines()
    if shell == "zsh":
        return [value for kind, value in zip(lines[::3], lines[1::3], strict=False) if kind == "plain"]
    return [item.partition(",")[2].partition("\t")[0] for item in lines if item.startswith("plain,")]


@pytest.mark.parametrize("line", VALUES)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_the_values(shell: str, line: str) -> None:
    assert sorted(values(shell, line)) == sorted(VALUES[line])


def test_a_configuration_is_a_name_or_a_file() -> None:
    line = {
        "_LWMPORT_COMPLETE": "bash_complete",
        "COMP_WORDS": "lwmport convert --component llama --config ",
        "COMP_CWORD": "5",
    }
    found = CliRunner().invoke(cli, [], prog_name="lwmport", env=line).output.splitlines()
    assert found[-1] == "file,"
    assert set(found[:-1]) == {f"plain,{name}" for name in config_names("llama")}


@pytest.mark.parametrize("shell", [*SHELLS, "BASH"])
def test_the_script_asks_by_the_variable(shell: str) -> None:
    found = CliRunner().invoke(cli, ["completion", shell])
    assert found.exit_code == 0
    assert f"_LWMPORT_COMPLETE={shell.lower()}_complete" in found.output


def test_another_shell_is_refused() -> None:
    found = CliRunner().invoke(cli, ["completion", "csh"])
    assert found.exit_code == 2
    assert "bash" in found.output


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "lwmport"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys; sys.argv[0] = \"lwmport\"; "
                       "from lwmport.cli import main; main()' \"$@\"\n")  # fmt: skip
    program.chmod(0o755)
    typed = "COMP_WORDS=(lwmport port --target AS); COMP_CWORD=3; _lwmport_completion lwmport AS --target"
    script = f'eval "$(lwmport completion bash)"; {typed}; echo "${{COMPREPLY[*]}}"'
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["ascend"]


def test_completing_loads_no_framework() -> None:
    code = (
        "import os, sys\n"
        "os.environ.update(_LWMPORT_COMPLETE='bash_complete', COMP_CWORD='5',"
        " COMP_WORDS='lwmport convert --component llama --config l')\n"
        "from lwmport.cli.main import cli\n"
        "try: cli.main([], prog_name='lwmport')\n"
        "except SystemExit: pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "plain,lwm-text-1m" in done.stdout
    assert not {"jax", "flax", "onnx", "onnxruntime", "tensorflow", "torch"} & set(done.stdout.splitlines()[-1].split())
