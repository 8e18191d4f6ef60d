"""A ring gives what one process gives: in threads with a channel of queues, and once in two processes."""

import json
import os
import queue
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, LostRankError, RunnerError, UsageError
from lwmport.models.options import Options
from lwmport.pipeline.ring.opening import open_model
from lwmport.pipeline.ring.place import given_place
from lwmport.pipeline.ring.session import ring_session
from lwmport.pipeline.session import Session
from lwmport.runtime.ring import cache
from lwmport.runtime.ring.channel import meet
from lwmport.runtime.ring.leading import RingSession, follow
from lwmport.runtime.ring.rank import RingRank
from lwmport.types import Array

CONFIG = {
    "vocab_size": 300, "vision_vocab_size": 200, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_sequence_length": 128, "scan_layers": False,
    "initializer_range": 0.3,
}  # fmt: skip
CLOSE = 2e-4
"""What a ring may differ by; the standard deviation of the logits is near 1."""

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 200, (2, 45))
MASK = np.ones(IDS.shape, np.int64)
MASK[1, :5] = 0
CODES = RANDOM.integers(0, 2, IDS.shape).astype(bool)
STEPS = [(RANDOM.integers(0, 200, (2, count)), np.zeros((2, count), bool)) for count in (1, 1, 6, 1)]


class Queues:
    """A channel between threads (`lwmport.runtime.ring.channel.Channel`)."""

    name = "queues"

    def __init__(self, rank: int, ranks: int, ways: dict[tuple[int, int], "queue.Queue[Any]"]) -> None:
        self.rank, self.ranks, self._ways = rank, ranks, ways

    def exchange(self, out: Any, into: Any, *, idle: bool = False) -> Callable[[], None]:
        del idle
        for rank, array in out:
            assert array.flags.c_contiguous
            self._ways[self.rank, rank].put(array.copy())

        def wait() -> None:
            for rank, array in into:
                found = self._ways[rank, self.rank].get(timeout=60)
                if found is None:
                    raise LostRankError(f"rank {rank} is gone")
                assert (found.shape, found.dtype) == (array.shape, array.dtype)
                array[...] = found

        return wait

    def close(self) -> None:
        for rank in range(self.ranks):
            self._ways[self.rank, rank].put(None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of one model, in parts and whole."""
    root = tmp_path_factory.mktemp("ring")
    common: dict[str, Any] = {"format": "onnx", "batch": "dynamic", "validate": False, "config": CONFIG}
    options = Options(sample_mode="all")
    lwmport.convert(component="llama-ring", out=root / "parts", options=options, **common)
    fixed = {**common, "batch": len(IDS)}
    lwmport.convert(component="llama-ring", out=root / "fixed", options=replace(options, sequence=8), **fixed)
    lwmport.convert(component="vision-llama", out=root / "whole", options=options, **common)
    return {name: root / name for name in ("parts", "fixed", "whole")}


def answers(session: Any, chunk: int) -> list[dict[str, Array]]:
    """Return the outputs for every token of a prompt, and for those of some steps behind it."""
    found = [session.prefill(IDS, MASK, CODES, chunk, keep=None)]
    return found + [session.step(ids, codes) for ids, codes in STEPS]


@pytest.fixture(scope="module")
def expected(folders: dict[str, Path]) -> list[dict[str, Array]]:
    with Session(folders["whole"], threads=1) as session:
        return answers(session, 64)


def check_same(found: list[dict[str, Array]], expected: list[dict[str, Array]]) -> None:
    for own, other in zip(found, expected, strict=True):
        assert sorted(own) == sorted(other) == ["text_logits", "vision_logits"]
        for name, value in own.items():
            counts = MASK[:, :, None] if value.shape[1] == MASK.shape[1] else 1
            np.testing.assert_allclose(value * counts, other[name] * counts, rtol=0, atol=CLOSE)


def in_threads(folder: Path, ranks: int, work: Callable[[RingSession], Any]) -> Any:
    """Return what work makes of rank 0, with the other ranks in threads; all of them end with it."""
    ways = {(a, b): queue.Queue[Any]() for a in range(ranks) for b in range(ranks)}
    channels = [Queues(rank, ranks, ways) for rank in range(ranks)]
    members = [RingRank(open_model(folder, None, 1)[0], channel) for channel in channels]
    failed: list[BaseException] = []

    def followed(member: RingRank) -> None:
        try:
            meet(member.channel)
            follow(member)
        except LostRankError as error:
            failed.append(error)
            member.channel.close()

    threads = [threading.Thread(target=followed, args=(member,), daemon=True) for member in members[1:]]
    for thread in threads:
        thread.start()
    meet(members[0].channel)
    try:
        with RingSession(members[0], "a test") as session:
            found = work(session)
    finally:
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    assert not failed
    return found


@pytest.mark.parametrize(("ranks", "chunk"), [(2, 8), (4, 4)])
def test_every_rank_count_gives_the_logits_of_one_process(
    ranks: int, chunk: int, folders: dict[str, Path], expected: list[dict[str, Array]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "TAIL", 2)  # new tokens fill a block and open the next one
    check_same(in_threads(folders["parts"], ranks, lambda session: answers(session, chunk)), expected)


def test_a_prompt_shorter_than_the_ring_leaves_ranks_without_tokens(folders: dict[str, Path]) -> None:
    def work(session: Any) -> list[dict[str, Array]]:
        return [session.prefill(IDS[:, :2], None, CODES[:, :2]), session.step(*STEPS[0])]

    with Session(folders["whole"], threads=1) as session:
        whole = work(session)
    check_same(in_threads(folders["parts"], 4, work), whole)


def test_parts_of_a_fixed_number_of_tokens_give_the_same(
    folders: dict[str, Path], expected: list[dict[str, Array]]
) -> None:
    def work(session: RingSession) -> Any:
        with pytest.raises(UsageError, match="expected a chunk of at most 8 tokens, as the parts have, found 9"):
            session.prefill(IDS, MASK, CODES, 9)
        with pytest.raises(RunnerError, match="expected input_ids below 200"):
            session.prefill(IDS + 100, MASK, np.ones_like(CODES))
        return answers(session, 5)

    check_same(in_threads(folders["fixed"], 2, work), expected)


def test_the_last_tokens_are_kept_whichever_rank_has_them(
    folders: dict[str, Path], expected: list[dict[str, Array]]
) -> None:
    found = in_threads(folders["parts"], 2, lambda session: session.prefill(IDS, MASK, CODES, 8, keep=7))
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[0][name][:, -7:], rtol=0, atol=CLOSE)


def test_what_does_not_fit_is_refused_before_the_other_ranks_hear_of_it(folders: dict[str, Path]) -> None:
    def work(session: RingSession) -> Any:
        with pytest.raises(UsageError, match="expected a prefill before the first step"):
            session.step(*STEPS[0])
        with pytest.raises(UsageError, match="expected vision_masks beside the ids"):
            session.prefill(IDS, MASK)
        with pytest.raises(UsageError, match="expected at most 128 tokens"):
            session.prefill(np.zeros((1, 129), int), None, np.zeros((1, 129), bool))
        with pytest.raises(RunnerError, match="expected input_ids below 200"):
            session.prefill(IDS + 100, MASK, np.ones_like(CODES))
        with pytest.raises(UsageError, match="expected chunk as a whole number"):
            session.prefill(IDS, MASK, CODES, -1)
        return session.prefill(IDS, MASK, CODES)

    assert in_threads(folders["parts"], 2, work)["text_logits"].shape == (2, 1, 300)


def test_two_processes_give_the_logits_of_one_and_a_killed_one_is_named(
    folders: dict[str, Path], expected: list[dict[str, Array]]
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")

    def work() -> None:
        with ring_session(folders["parts"], ranks=2, threads=1) as session:
            assert session.runner == "ONNX Runtime in 2 ranks, gloo of torch.distributed"
            check_same(answers(session, 8), expected)
            (other,) = children()
            os.kill(other, signal.SIGKILL)
            session.step(*STEPS[0])

    with pytest.raises(LostRankError, match="expected 2 ranks at work, found rank 1 killed by SIGKILL"):
        work()
    assert not children()


def children() -> list[int]:
    """Return the processes that this one has started for ranks."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and b"lwmport.pipeline.ring.follower" in words:
            found.append(int(path.name))
    return found


def test_the_command_takes_a_model_in_parts(folders: dict[str, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", input_ids=IDS, attention_mask=MASK, vision_masks=CODES)
    words = ["--prompt", str(tmp_path / "p.npz"), "--new-tokens", "6", "--chunk", "8", "--threads", "1", "--json"]
    made = {}
    for name, folder in folders.items():
        out = tmp_path / f"{name}.npz"
        done = CliRunner().invoke(cli, ["generate", "tokens", str(folder), "--out", str(out), *words])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["tokens"] == 6
        made[name] = np.load(out)["tokens"]
    np.testing.assert_array_equal(made["parts"], made["whole"])


@pytest.mark.parametrize(
    ("folder", "words", "message"),
    [
        ("whole", ["--ranks", "2"], "expected a model in parts for several ranks in .*found vision-llama"),
        ("parts", ["--checkpoint", "x"], "expected no checkpoint for a model in parts"),
        ("parts", ["--ranks", "2", "--rank-timeout", "0"], "expected a time above 0 s"),
    ],
)
def test_what_does_not_go_together_costs_one_line(
    folder: str, words: list[str], message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "p.npz", input_ids=IDS, vision_masks=CODES)
    given = {"prompt": tmp_path / "p.npz", "out": tmp_path / "o.npz", "new_tokens": 1}
    names = {"--ranks": ("ranks", int), "--checkpoint": ("checkpoint", str), "--rank-timeout": ("rank_seconds", float)}
    options = {names[flag][0]: names[flag][1](value) for flag, value in zip(words[::2], words[1::2], strict=True)}
    with pytest.raises(lwmport.PortError, match=message):
        lwmport.generate(model=folders[folder], **given, **options)


def test_a_part_that_is_missing_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    text = (folders["parts"] / "manifest.json").read_text(encoding="utf-8")
    told = text.replace('"llama-block-rest-1"', '"llama-block-rest-9"')
    (tmp_path / "manifest.json").write_text(told, encoding="utf-8")
    with pytest.raises(ArtifactError, match="expected llama-block-rest-1 in "):
        open_model(tmp_path, None, 1)


def test_the_environment_says_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert given_place(2, "gloo", 1.0) is None
    for name, value in {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="without MASTER_ADDR, MASTER_PORT"):
        given_place(None, "gloo", 1.0)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    place = given_place(None, "gloo", 1.0)
    assert place is not None
    assert (place.rank, place.ranks, place.near, place.threads(3)) == (1, 4, 2, 3)
    with pytest.raises(UsageError, match="expected 2 ranks, as --ranks says"):
        given_place(2, "gloo", 1.0)
