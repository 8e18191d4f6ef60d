"""What a request gets that is not served: a status of HTTP, and OpenAI's form of an error."""

from typing import Any, Final

from lwmport.errors import PortError, UsageError

CLIENT, SERVER, BUSY = "invalid_request_error", "server_error", "rate_limit_error"

RETRY: Final = 429
"""The one status after which the same request may be served: OpenAI's clients would repeat others too."""


class RefusedError(UsageError):
    """A request is not served.

    Args:
        message: one line.
        status: of HTTP.
        code: OpenAI's word for it, where it has one.
        param: the field of the request.
    """

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class Gone(Exception):  # noqa: N818 - nothing is wrong
    """Whoever asked has left."""


def status_of(error: PortError) -> int:
    """Return the status of HTTP for an error: 400 for what the request can mend, 500 for the rest."""
    return error.status if isinstance(error, RefusedError) else 400 if isinstance(error, UsageError) else 500


def error_form(error: PortError) -> dict[str, Any]:
    """Return an error in OpenAI's form."""
    status = status_of(error)
    kind = SERVER if status >= 500 else BUSY if status == RETRY else CLIENT
    code, param = (error.code, error.param) if isinstance(error, RefusedError) else (None, None)
    return {"error": {"message": str(error), "type": kind, "param": param, "code": code}}


def headers_of(error: PortError) -> dict[str, str]:
    """Return headers: when to come again, or that it is of no use, in the word that OpenAI's clients read."""
    status = status_of(error)
    found = {"Retry-After": "1"} if status == RETRY else {"x-should-retry": "false"}
    return {**found, "WWW-Authenticate": "Bearer"} if status == 401 else found
