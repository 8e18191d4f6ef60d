"""Frames of a video, from a file or from its bytes alone."""

import os
from pathlib import Path

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.generation.video import frames_of, is_marked, write_video

pytest.importorskip("av", reason="PyAV is not installed")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_video(path, np.stack([np.full((32, 48, 3), 40 * place, np.uint8) for place in range(5)]), 4)
    return path


def test_bytes_have_the_frames_of_their_file(video: Path) -> None:
    for most, count in ((3, 3), (9, 5)):
        found = [np.asarray(frame) for frame in frames_of(video.read_bytes(), most)]
        assert len(found) == count
        assert all((one == frame).all() for one, frame in zip(found, frames_of(video, most), strict=True))


@pytest.mark.parametrize(
    "data", [b"ffconcat version 1.0\nfile {name}\n", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{name}\n"]
)
def test_bytes_that_name_a_file_are_refused(video: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(video.parent)
    with pytest.raises(UsageError, match=r"expected a video in the .* bytes that were sent, found"):
        frames_of(data.replace(b"{name}", video.name.encode()), 2)


def test_a_frame_is_no_larger_than_it_may_be(video: Path) -> None:
    with pytest.raises(UsageError, match=r"expected at most 1,000 pixels a frame at .*, found 48 x 32"):
        frames_of(video, 2, pixels=1000)


def test_reading_ends_where_nobody_waits(video: Path) -> None:
    seen: list[int] = []

    def watch() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        frames_of(video, 2, watch=watch)
    assert len(seen) == 3


def test_a_video_of_ours_is_known_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write_video(tmp_path / "ours.mp4", np.zeros((2, 16, 16, 3), np.uint8), 4)
    assert is_marked(tmp_path / "ours.mp4")
    (tmp_path / "other.mp4").write_bytes(b"another's")
    assert not is_marked(tmp_path / "other.mp4")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="it is a pipe or a device"):
        frames_of(tmp_path / "pipe", 2)


def test_a_file_that_names_others_is_no_video(tmp_path: Path) -> None:
    write_video(tmp_path / "ours.mp4", np.zeros((2, 16, 16, 3), np.uint8), 4)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile ours.mp4\n")
    with pytest.raises(UsageError, match="expected a video at"):
        frames_of(tmp_path / "list.mp4", 2)
