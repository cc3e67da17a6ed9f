"""What a transform says when it cannot give a value: for one row, or for the whole call."""

from __future__ import annotations

from types import CodeType

MESSAGE_BYTES_MAX = 1024
"""Longest message of a failed row or call, in bytes of UTF-8; what is longer is cut at a character and ends in `…`.

A message is for a person. Without a bound, a batch in which every row quotes a large input would be refused by the runtime for its
size instead of for its reason."""


class RowError(Exception):
    """Why one row has no value. Its neighbours are not affected.

    The row is reported as failed, with this message; it never becomes a value. Any other exception fails the row too: its message then
    begins with the exception's type and ends with the line.

    >>> str(RowError("must not be negative", field="amount"))
    'amount: must not be negative'
    """

    def __init__(self, message: object, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.field is None else f"{self.field}: {message}"


class CallError(Exception):
    """Why a whole call has no result: wrong parameters, or columns of other lengths than the rows given.

    The runtime divides the rows and calls again until the rows at fault stand alone, so prefer a `RowError` where the row is known.
    """


class SignatureError(TypeError):
    """What the types of a transform say cannot be: raised where the function is decorated."""


def bounded(message: str) -> str:
    """The message, cut to `MESSAGE_BYTES_MAX`. Surrogates that stand alone, which UTF-8 does not have, become question marks."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= MESSAGE_BYTES_MAX:
        return encoded.decode()
    return encoded[: MESSAGE_BYTES_MAX - len("…".encode())].decode("utf-8", "ignore") + "…"


def row_message(error: Exception, code: CodeType) -> str:
    """What is said of a row for which the function of `code` raised `error`."""
    return bounded(str(error) if isinstance(error, RowError) else with_line(error, code))


def with_line(error: Exception, code: CodeType) -> str:
    """Type, message and the last line in the author's own file."""
    try:
        said = str(error)
    except Exception:  # an author's own exception may fail to say anything
        said = ""
    name = type(error).__name__
    return f"{name}: {said} ({line_of(error, code)})" if said else f"{name} ({line_of(error, code)})"


def line_of(error: BaseException, code: CodeType) -> str:
    """Where in the file of `code` the error came from: the innermost of its lines there."""
    line, function = code.co_firstlineno, code.co_name
    at = error.__traceback__
    while at is not None:
        inner = at.tb_frame.f_code
        if inner.co_filename == code.co_filename:
            line, function = at.tb_lineno, inner.co_name
        at = at.tb_next
    return f"{file_name(code)}, line {line}, in {function}"


def file_name(code: CodeType) -> str:
    """The last part of a file's path, which does not depend on the folder that it was built in."""
    return code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
