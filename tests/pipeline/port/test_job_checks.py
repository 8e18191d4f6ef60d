"""What jobs need is looked for before the first of them starts."""

from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import PortError
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.port import matrix as ports
from lwmport.pipeline.port.job_checks import check_ready
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.pipeline.port.run import PortRequest, port

MATRIX = """
[defaults]
config = "debug"
[matrix]
component = ["vqgan-encoder", "vqgan-decoder"]
target = "cpu"
checkpoint = "{checkpoint}"
[[jobs]]
component = "llama-embed"
target = "ascend"
toolchain = "{toolchain}"
"""


def jobs(folder: Path, checkpoint: str, toolchain: str = "") -> Any:
    """Return jobs one of which needs a toolchain: a stand-in, unless another is named."""
    if not toolchain:
        toolchain = "atc"
        (folder / toolchain).touch(mode=0o755)
    path = folder / "jobs.toml"
    path.write_text(MATRIX.format(checkpoint=checkpoint, toolchain=toolchain))
    return read_jobs(path)


def test_no_job_starts_where_one_lacks_something_and_each_fault_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_run", lambda *_: pytest.fail("started"))
    with pytest.raises(PortError, match=r"^3 of 3 jobs cannot start, so that none was started: ") as caught:
        ports.port_all(jobs(tmp_path, "none.pkl", "nowhere"))
    said = str(caught.value)
    assert said.count("none.pkl") == 1
    assert "(vqgan-encoder-cpu-onnx-float32, vqgan-decoder-cpu-onnx-float32)" in said
    assert "nowhere (llama-embed-ascend-onnx-float32)" in said
    assert "\n" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.toml"]


def test_a_checkpoint_of_another_model_is_found_out_before(tmp_path: Path) -> None:
    make(Recipe(component="vqgan", config="debug", settings=("num_embeddings=32",)), tmp_path / "w.pkl")
    with pytest.raises(PortError, match="2 of 3 jobs cannot start") as caught:
        check_ready(jobs(tmp_path, "w.pkl"), here=True)
    assert "quantize/embeddings" in str(caught.value)


def test_a_runner_that_cannot_start_here_starts_no_job(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(
        '[defaults]\nconfig = "debug"\ntarget = "cpu"\nrunner = "onnxruntime-cann"\n'
        '[matrix]\ncomponent = ["vqgan-encoder", "vqgan-decoder"]\n'
    )
    asked = read_jobs(path)
    with pytest.raises(
        PortError, match=r"2 of 2 jobs cannot start, .*: the runner onnxruntime-cann cannot start here: "
    ):
        check_ready(asked, here=True)
    check_ready(asked, here=False)


def test_jobs_that_have_what_they_need_are_ready(tmp_path: Path) -> None:
    make(Recipe(component="vqgan", config="debug"), tmp_path / "w.pkl")
    check_ready(jobs(tmp_path, "w.pkl"), here=True)
    check_ready(jobs(tmp_path, "w.pkl", "nowhere"), here=False)


def test_a_checkpoint_that_is_not_there_cannot_be_ported(tmp_path: Path) -> None:
    conversion = ConvertRequest(
        component="vqgan-decoder",
        format="onnx",
        out=tmp_path / "out",
        config="debug",
        checkpoint=str(tmp_path / "none"),
    )
    with pytest.raises(PortError, match=r"expected a file or a folder at .*none, found nothing") as caught:
        port(PortRequest(conversion=conversion, target="cpu"))
    assert caught.value.exit_code == PortError.exit_code
