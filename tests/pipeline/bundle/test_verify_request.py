"""A digest that was cut while it was copied is wrong usage, not a bundle that was tampered with."""

from pathlib import Path

import pytest

from lwmport.errors import ArtifactError, RunnerError, UsageError
from lwmport.pipeline.bundle.verify import VerifyRequest, verify


@pytest.mark.parametrize("digest", ["", "abc", "0" * 63, "0" * 65, "g" * 64, "sha256 " + "0" * 64])
def test_what_is_no_digest_is_refused_before_the_bundle_is_opened(digest: str) -> None:
    with pytest.raises(UsageError, match="expected the 64 hexadecimal digits"):
        verify(VerifyRequest(path=Path("none.zip"), sha256=digest))


def test_a_digest_is_taken_in_either_case() -> None:
    with pytest.raises(ArtifactError, match=r"expected a bundle at none\.zip"):
        verify(VerifyRequest(path=Path("none.zip"), sha256="aB" * 32))


REFUSED: dict[str, tuple[VerifyRequest, type[Exception], str]] = {
    "unknown": (VerifyRequest(path=Path("none.zip"), runner="openvno"), UsageError, "did you mean 'openvino'"),
    "to run none": (VerifyRequest(path=Path("none.zip"), runner="litert", run=False), UsageError, "found --no-run"),
    "not here": (VerifyRequest(path=Path("none.zip"), runner="compass"), RunnerError, "compass cannot start here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_runner_that_cannot_judge_is_refused_before_the_bundle_is_opened(case: str) -> None:
    request, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        verify(request)
