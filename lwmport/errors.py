"""Every error that a user can cause, each with the exit code of the command line.

A message says what was expected, what was found, where, and what to do. "Out of tolerance" is a result,
not an error: exceptions are for "could not judge".
"""

from lwmport.wording import message


class PortError(Exception):
    """The work cannot be done; the command line prints the message on one line and exits with 3.

    A message may hold names out of a file that is not ours: it is printable, whatever they are.
    """

    exit_code = 3

    def __init__(self, text: str = "") -> None:
        super().__init__(message(text))


class UsageError(PortError):
    """The request contradicts itself or names something unknown; exit code 2."""

    exit_code = 2


class UnusedOptionError(UsageError):
    """An option that is asked for changes nothing beside the others; ``option`` is its key.

    It is refused, for a user would believe that it does. As a default of many jobs it is left out where it is unused.
    """

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


class CheckpointError(PortError):
    """A checkpoint is truncated, hostile, of an unknown format, or does not fit the model."""


class ConfigError(PortError):
    """A model configuration has unknown fields or values that no model can have."""


class LoweringError(PortError):
    """A program holds an operation or a shape that the dialect cannot express."""


class ArtifactError(PortError):
    """An artifact or its manifest is missing, damaged, or does not have the promised signature."""


class RunnerError(PortError):
    """A runtime refused a model or its inputs."""


class LostRankError(RunnerError):
    """A process of a ring is gone, or does not answer in time."""


class ChildError(RunnerError):
    """Work in a process of its own did not end well; ``cause`` is ``time``, ``memory``, ``signal`` or ``error``."""

    def __init__(self, message: str, cause: str = "error") -> None:
        super().__init__(message)
        self.cause = cause


class UnmendedError(PortError):
    """A model made `lwmport check --fix` fail in a way that nobody thought of; a fault of ours."""


class MissingExtraError(PortError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def one_line(error: BaseException) -> str:
    """Return what a foreign error says, on one line."""
    return " ".join(str(error).split())


def said(error: BaseException) -> str:
    """Return an error on one line, with its type where it is none of ours."""
    return str(error) if isinstance(error, PortError) else f"{type(error).__name__}: {one_line(error)}"
