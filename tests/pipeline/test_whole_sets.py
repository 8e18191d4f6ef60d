"""At every change of a file that a command makes, what has its final name is the old set or the new one.

Python tells of each change before it happens (its audit events). What lies there then is what a kill at this moment
would leave.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import lwmport
from lwmport import atomic
from lwmport.errors import UsageError
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.check import CheckRequest, fix_artifact
from lwmport.pipeline.checkpoint import convert as checkpoints
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink")

Tree = dict[str, str]


def tree(folder: Path) -> Tree:
    """Return the files below a folder with their digests; scratch work apart."""
    found = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(atomic.PREFIX) for part in parts):
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@dataclass
class Watch:
    """Takes down what lies in a folder at each change below it, where that is new."""

    folder: Path | None = None
    seen: list[Tree] = field(default_factory=list)
    count: int = 0

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        if self.folder is None or event not in CHANGES or isinstance(args[0], int):
            return
        if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            return
        folder, self.folder = self.folder, None
        self.count += 1
        found = tree(folder)
        if not self.seen or self.seen[-1] != found:
            self.seen.append(found)
        self.folder = folder


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    found = Watch()
    sys.addaudithook(found.hook)  # nothing takes it away again
    yield found
    found.folder = None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with conversions of two sets of weights, and two checkpoints."""
    folder = tmp_path_factory.mktemp("made")
    request = lwmport.Request(component="vqgan-decoder", format="onnx", dialect="ascend", config="debug", out=folder)
    for seed in (0, 7):
        lwmport.convert(replace(request, out=folder / f"c{seed}", seed=seed))
        make(Recipe(component="llama", config="debug", seed=seed, dtype="bfloat16"), folder / f"{seed}.stream")
    return folder


def converted(made: Path, out: Path, seed: int) -> None:
    del made
    lwmport.convert(
        lwmport.Request(
            component="vqgan-decoder", format="onnx", config="debug", out=out, seed=seed, validate=bool(seed)
        )
    )


def mended(made: Path, out: Path, seed: int) -> None:
    fix_artifact(CheckRequest(artifact=made / f"c{seed}" / "vqgan-decoder.onnx", target="ascend"), out / "fixed.onnx")


def compiled(made: Path, out: Path, seed: int) -> None:
    compile_artifacts(CompileRequest(artifact=made / f"c{seed}" / "vqgan-decoder.onnx", target="cpu", out=out))


def bundled(made: Path, out: Path, seed: int) -> None:
    bundle(BundleRequest(folder=made / f"c{seed}", target="ascend", soc="Ascend310P3", out=out / "b.zip"))


def judged(made: Path, out: Path, seed: int) -> None:
    validate(ValidateRequest(artifact=made / f"c{seed}", out=out))


def sharded(made: Path, out: Path, seed: int) -> None:
    asked = checkpoints.Conversion(form="hf", config="debug", shard_bytes=1 << 20)
    checkpoints.convert(str(made / f"{seed}.stream"), out / "hf", asked)


COMMANDS: dict[str, tuple[Callable[[Path, Path, int], None], bool]] = {
    "convert": (converted, True),
    "check --fix": (mended, True),
    "compile": (compiled, True),
    "bundle": (bundled, True),
    "validate": (judged, True),
    "checkpoint convert": (sharded, False),
}
"""Command -> what runs it, and whether it replaces what it wrote before."""


@pytest.mark.parametrize("name", COMMANDS)
def test_what_has_its_final_name_is_a_whole_set(name: str, made: Path, watch: Watch, tmp_path: Path) -> None:
    run, replaces = COMMANDS[name]
    out = tmp_path / "out"
    sets: list[Tree] = [{}]
    for seed in (7, 0) if replaces else (0,):
        watch.folder, watch.seen, watch.count = tmp_path, [], 0
        run(made, out, seed)
        watch.folder = None
        sets = [sets[-1], tree(tmp_path)]
        assert sets[0] != sets[1]
        assert all(seen in sets for seen in watch.seen), [seen for seen in watch.seen if seen not in sets]
        assert watch.count > 5
        assert not list(tmp_path.rglob(f"{atomic.PREFIX}*"))


USERS = {
    "convert": ("pictures/holiday.jpg", "report.md", "manifest.json", "vqgan-decoder.onnx", "vqgan-decoder.onnx.data"),
    "check --fix": ("fixed.onnx", "fixed.onnx.data"),
    "compile": ("vqgan-decoder.compilation.json", "vqgan-decoder.optimised.onnx"),
    "bundle": ("b.zip",),
    "validate": ("report.html", "pictures/holiday.jpg"),
    "checkpoint convert": ("hf/config.json", "hf/notes.txt"),
}


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in USERS.items() for file in files])
@pytest.mark.parametrize("kind", ["a file", "a link", "a dead link"])
def test_what_is_the_users_stays(kind: str, name: str, file: str, made: Path, tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "out" / file, tmp_path / "elsewhere"
    path.parent.mkdir(parents=True)
    elsewhere.write_text("mine")
    if kind == "a file":
        path.write_text("mine")
    else:
        path.symlink_to(elsewhere if kind == "a link" else tmp_path / "nowhere")
    run, _ = COMMANDS[name]
    with pytest.raises(lwmport.PortError) as caught:
        run(made, tmp_path / "out", 1 if name == "convert" else 0)
    assert isinstance(caught.value, UsageError)
    assert path.name in str(caught.value) or path.parent.name in str(caught.value)
    assert elsewhere.read_text() == "mine"
    assert path.is_symlink() if kind != "a file" else path.read_text() == "mine"
    others = [found for found in tmp_path.rglob("*") if found not in {path, elsewhere, *path.parents}]
    assert others == []


def test_a_file_that_was_edited_since_is_the_users(made: Path, tmp_path: Path) -> None:
    compiled(made, tmp_path, 0)
    (tmp_path / "vqgan-decoder.optimised.onnx").write_text("edited")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"vqgan-decoder\.optimised\.onnx, which is not a file of an earlier run"):
        compiled(made, tmp_path, 7)
    assert tree(tmp_path) == before
