"""What opens a model of ``pace.py`` and times itself. This module is imported by interpreters that lack ``lwmport``."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OPEN: Final = "open"
PREFILL: Final = "prefill"
TOKEN: Final = "token"  # noqa: S105 - of a language model
STAGES: Final = (OPEN, PREFILL, TOKEN)
BLOCK: Final = 8 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A folder of ``lwmport convert``, threads, tokens of the prompt and new ones."""

    path: str
    threads: int
    prompt: int
    new: int

    def ids(self) -> NDArray[Any]:
        """Return the prompt, int64 [1, tokens]."""
        return np.random.default_rng(0).integers(3, 1000, (1, self.prompt))


class _Timed:
    """Answers a stage with its seconds; those of a token are the mean of the new ones."""

    def __init__(self, case: Opening) -> None:
        self._case = case
        self._open()
        self._turns: Mapping[str, Callable[[], None]] = {OPEN: self._reopened, PREFILL: self._prefill}

    def run(self, inputs: Mapping[str, Any]) -> dict[str, float]:
        """Return seconds: of a stage, or of reading the model's files."""
        ((stage, _),) = inputs.items()
        if stage == TOKEN:
            self._prefill()
            return {"seconds": _seconds(self._tokens) / self._case.new}
        return {"seconds": _seconds(self._turns.get(stage, self._read))}

    def _read(self) -> None:
        block = bytearray(BLOCK)
        for path in Path(self._case.path).iterdir():
            with path.open("rb", buffering=0) as file:
                while file.readinto(block):
                    pass

    def _reopened(self) -> None:
        self._close()
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _prefill(self) -> None:
        raise NotImplementedError

    def _tokens(self) -> None:
        raise NotImplementedError


class Ours(_Timed):
    """A session of this package."""

    def _open(self) -> None:
        import lwmport

        self._session: Any = lwmport.Session(Path(self._case.path), threads=self._case.threads)

    def _close(self) -> None:
        self._session.close()

    def _prefill(self) -> None:
        self._session.prefill(self._case.ids())

    def _tokens(self) -> None:
        for _ in range(self._case.new):
            self._session.step(self._case.ids()[:, :1])


class Theirs(_Timed):
    """ik_llama.cpp through ik-llama-cpp-python 0.1.5; what gives single tokens is none of its public names."""

    def _open(self) -> None:
        from ik_llama_cpp import llama

        self._own = llama
        (path,) = Path(self._case.path).glob("*.gguf")
        room = self._case.prompt + self._case.new + 8
        self._model: Any = llama.IkLlama(str(path), n_ctx=room, n_threads=self._case.threads, verbose=False)

    def _close(self) -> None:
        del self._model

    def _prefill(self) -> None:
        self._model.generate(self._case.ids()[0].tolist(), max_tokens=0)

    def _tokens(self) -> None:
        ids = self._case.ids()[0].tolist()
        for place in range(self._case.new):
            batch = self._own.make_batch_single(ids[0], len(ids) + place)
            if self._model._context.decode(batch):  # noqa: SLF001 - a token, without choosing the next one
                raise RuntimeError("llama_decode failed")


def _seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
