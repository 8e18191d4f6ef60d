"""What is written is read back the same; what someone else wrote is believed only as far as it fits."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import ArtifactError
from lwmport.reports import render
from lwmport.reports.files import NAMES, read_report, write_report

Json = dict[str, Any]


@pytest.fixture
def folder(good, tmp_path: Path) -> Path:  # noqa: ANN001
    return good.write(tmp_path)


def test_there_and_back(good, folder: Path) -> None:  # noqa: ANN001
    assert read_report(folder) == good.report


def test_a_failed_report_with_nan_and_infinity_comes_back(bad, tmp_path: Path) -> None:  # noqa: ANN001
    read = read_report(bad.write(tmp_path))
    write_report(read, tmp_path)
    assert repr(read) == repr(bad.report)


def test_exactly_these_files(folder: Path) -> None:
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(NAMES)


def test_rendering_again_from_the_folder_changes_no_byte(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_report(read_report(folder), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_json_is_strict(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    value = json.loads((folder / "report.json").read_text(), parse_constant=refuse)
    assert value["status"] == "passed"
    assert value["components"][1]["validation"]["diffs"][0]["metrics"]["data_range"] == 2.0


def claims_success(value: Json) -> None:
    value["status"] = "failed"


def contradicts_its_outputs(value: Json) -> None:
    value["components"][0]["validation"]["diffs"][0]["status"] = "failed"


def drops_its_outputs(value: Json) -> None:
    value["components"][0]["validation"]["diffs"] = []


def changes_a_number(value: Json) -> None:
    value["components"][0]["validation"]["diffs"][1]["metrics"]["rmse"] = 0.0


def leaves_the_folder(value: Json) -> None:
    picture(value)["path"] = "pictures/../../../etc/passwd.png"


def absolute_path(value: Json) -> None:
    picture(value)["path"] = "/etc/passwd"


def remote_path(value: Json) -> None:
    picture(value)["path"] = "https://example.com/pictures/x.png"


def other_picture(value: Json) -> None:
    picture(value)["path"] = value["components"][0]["galleries"][0]["pictures"][1]["path"]


def absent_picture(value: Json) -> None:
    picture(value)["path"] = "pictures/absent.png"


def text_for_a_metric(value: Json) -> None:
    value["components"][0]["validation"]["diffs"][1]["metrics"]["rmse"] = "<script>"


def changes_words(value: Json) -> None:
    value["sentence"] = "Ship it."


def endless_number(value: Json) -> None:
    value["components"][0]["seconds"] = float("inf")


def old_format(value: Json) -> None:
    value["format"] = "lwmport-report/0"


def picture(value: Json) -> Json:
    found: Json = value["components"][0]["galleries"][0]["pictures"][0]
    return found


HOSTILE = {
    claims_success: "the verdict failed does not follow from the components",
    contradicts_its_outputs: "the verdict passed on 'vqgan.encoder' does not follow from its outputs",
    drops_its_outputs: "the verdict passed on 'vqgan.encoder' does not follow from its outputs",
    changes_a_number: "the digest of 'vqgan.encoder' is not of its numbers",
    leaves_the_folder: "expected a picture path like pictures/NAME.png, found 'pictures/../../../etc/passwd.png'",
    absolute_path: "expected a picture path like pictures/NAME.png",
    remote_path: "expected a picture path like pictures/NAME.png",
    other_picture: "expected the PNG with SHA-256",
    absent_picture: "expected a file of a report, found: No such file or directory",
    text_for_a_metric: "metrics of 'quantized_states'.rmse: expected a number, found '<script>'",
    changes_words: "report.json: expected it as it was written, found its seal broken",
    endless_number: "expected a report as JSON, found damage: Infinity is no JSON",
    old_format: "expected the format lwmport-report/2",
}


@pytest.mark.parametrize("break_", HOSTILE, ids=lambda function: function.__name__)
def test_a_hostile_report_costs_one_line(break_: Callable[[Json], None], folder: Path) -> None:
    value = json.loads((folder / "report.json").read_text())
    break_(value)
    (folder / "report.json").write_text(json.dumps(value))
    with pytest.raises(ArtifactError, match=re.escape(HOSTILE[break_])) as caught:
        read_report(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"9" * 5000, b'{"format": 1e999}'],
    ids=["empty", "cut", "list", "null", "binary", "deep", "nan", "long number", "overflow"],
)
def test_no_report_at_all_costs_one_line(content: bytes, folder: Path) -> None:
    (folder / "report.json").write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_report(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"report\.json: expected a file of a report, found: No such file"):
        read_report(tmp_path / "nowhere")


def test_a_link_out_of_the_folder_is_not_followed(good, folder: Path, tmp_path_factory) -> None:  # noqa: ANN001
    path = good.report.components[0].galleries[0].pictures[0].path
    outside = tmp_path_factory.mktemp("outside") / "x.png"
    shutil.move(folder / path, outside)
    (folder / path).symlink_to(outside)
    with pytest.raises(ArtifactError, match="found a link out of it"):
        read_report(folder)


def test_a_report_of_any_size_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lwmport.reports.files.JSON_LIMIT", 100)
    with pytest.raises(ArtifactError, match="found: it has more than 100 bytes"):
        read_report(folder)


def test_whatever_is_read_can_be_rendered(folder: Path) -> None:
    """Replace values at random: the report is refused in one line, or it renders."""
    original = (folder / "report.json").read_text()
    dice = random.Random(0)  # noqa: S311
    rendered = 0
    for _ in range(150):
        value = json.loads(original)
        for part in value["components"]:
            part["galleries"], part["digests"] = [], []
        del value["seal"]  # or it would be refused for that alone
        mutate(value, dice)
        (folder / "report.json").write_text(json.dumps(value))
        try:
            report = read_report(folder)
        except ArtifactError as error:
            assert "\n" not in str(error)  # noqa: PT017
            continue
        assert render.html(report, {}).encode()
        assert render.markdown(report).encode()
        rendered += 1
    assert 10 < rendered < 140


def mutate(value: Any, dice: random.Random) -> None:
    """Walk to a random leaf and put something odd there."""
    while True:
        key = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if not isinstance(value[key], dict | list) or not value[key] or dice.random() < 0.05:
            odd = [
                0,
                -1,
                2**62,
                1e300,
                5e-324,
                -1e5,
                "inf",
                "-inf",
                "nan",
                "",
                "<b>\n|`",
                None,
                True,
                [],
                {},
                [0],
                "\ud800",
            ]
            value[key] = dice.choice(odd)
            return
        value = value[key]
