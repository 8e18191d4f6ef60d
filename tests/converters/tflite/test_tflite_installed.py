"""Says why this folder's tests are missing where they are."""

import pytest

from lwmport import extras


def test_the_schema_and_the_runtime_are_installed() -> None:
    if not extras.installed("ai_edge_litert"):
        pytest.skip("ai-edge-litert is not installed: pip install 'lwmport[tflite]'")
    assert extras.installed("flatbuffers")
