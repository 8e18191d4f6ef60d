"""The command line: the only home of click and of printing."""

from lwmport.cli.main import main

__all__ = ["main"]
