"""This project's command line, run inside a process whose imports are done: what a converter's seconds are of."""

import importlib
import sys
from collections.abc import Sequence
from unittest import mock


def prepare_own() -> None:
    """Import what a conversion to ONNX loads, and start JAX."""
    import jax
    import onnx_ir  # noqa: F401

    import lwmport.cli.main
    import lwmport.converters.onnx.convert
    import lwmport.pipeline.convert.run  # noqa: F401

    jax.devices("cpu")


def convert_own(arguments: Sequence[str]) -> None:
    """Run ``lwmport convert --no-validate`` with more arguments.

    Raises:
        RuntimeError: it ended with another exit code than 0.
    """
    with mock.patch.object(sys, "argv", ["lwmport", "convert", "--no-validate", *arguments]):
        try:
            importlib.import_module("lwmport.cli.main").main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"lwmport convert ended with {end.code}") from end
