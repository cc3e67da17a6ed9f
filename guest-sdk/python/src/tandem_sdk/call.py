"""A transform as the runtime sees it: its signature, and its two forms as one call."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import CodeType
from typing import Any

from .columns import Column, Failures, column_of, values_of
from .errors import CallError, RowError, SignatureError, bounded, file_name, row_message, with_line
from .fields import Field, paragraphs, row_fields
from .parameters import Given, Parameter, read_parameters, take_parameters
from .types import shown
from .views import Columns, FailedRows, column_from, given_names, view_of


@dataclass(frozen=True)
class Outcome:
    """What came of a call: a column for each output, and the rows that failed, in order."""

    columns: list[Column]
    failures: list[tuple[int, str]]


@dataclass(frozen=True)
class Transform:
    """What the decorator finds out about a function."""

    function: Callable[..., Any]
    code: CodeType
    row: type
    output: type
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    settings: type | None
    parameters: tuple[Parameter, ...]
    doc: str
    is_columnar: bool
    read: Callable[[Any], tuple[Any, ...]] = field(repr=False)

    def arguments(self, given: list[Given]) -> tuple[Any, ...]:
        """What the function takes after its rows. Refuses wrong parameters: `CallError`."""
        settings = take_parameters(self.settings, self.parameters, given)
        return () if self.settings is None else (settings,)

    def apply(self, given: list[Given], rows: int, inputs: Sequence[Column]) -> Outcome:
        """Computes `rows` rows."""
        arguments = self.arguments(given)
        failures = Failures()
        if self.is_columnar:
            built = self.columns(arguments, rows, inputs, failures)
        else:
            columns = [values_of(column, field, rows, failures) for column, field in zip(inputs, self.inputs)]
            outputs = self.rows(arguments, rows, columns, failures)
            built = [column_of(values, field, failures) for values, field in zip(outputs, self.outputs)]
        return Outcome(built, sorted((row, bounded(message)) for row, message in failures.items()))

    def rows(self, arguments: tuple[Any, ...], rows: int, columns: list[list[Any]], failures: Failures) -> list[Sequence[Any]]:
        """The everyday form: the function for each row. Gives the values of each output."""
        function, output, read = self.function, self.output, self.read
        given = map(self.row, *columns) if columns else (self.row() for _ in range(rows))
        nothing = (None,) * len(self.outputs)
        found: list[tuple[Any, ...]] = []
        for index, row in enumerate(given):
            if index in failures:
                found.append(nothing)
                continue
            try:
                features = function(row, *arguments)
                if features.__class__ is not output:
                    raise self.not_the_output(features)
                found.append(read(features))
            except (CallError, MemoryError):
                # What is used up does not depend on this row alone: the runtime divides the call.
                raise
            except NotTheOutput as error:
                failures.add(index, str(error))
                found.append(nothing)
            except Exception as error:
                failures.add(index, row_message(error, self.code))
                found.append(nothing)
        return list(zip(*found)) if found else [()] * len(self.outputs)

    def columns(self, arguments: tuple[Any, ...], rows: int, inputs: Sequence[Column], failures: Failures) -> list[Column]:
        """The columnar form: the function once, for all rows."""
        given = {field.attribute: view_of(column, field, rows) for column, field in zip(inputs, self.inputs)}
        try:
            found = self.function(Columns(self.row, **given), *arguments)
            failed = None
            if isinstance(found, tuple) and len(found) == 2:
                found, failed = found
            if not isinstance(found, Columns) or not (failed is None or isinstance(failed, FailedRows)):
                raise CallError(str(self.not_the_output(found)))
            names = [field.attribute for field in self.outputs]
            if set(given_names(found)) != set(names):
                raise CallError(f"{self.code.co_name} gave the columns {', '.join(given_names(found))}, and not {', '.join(names)}")
            if failed is not None:
                failures.update(failed._messages)
                if failures and max(failures) >= rows:
                    raise CallError(f"the transform reports row {max(failures)} as failed, but the call has {rows} rows")
            return [column_from(getattr(found, field.attribute), field, rows, failures) for field in self.outputs]
        except RowError as error:
            raise CallError(str(error)) from error
        except (CallError, MemoryError):
            raise
        except Exception as error:
            raise CallError(with_line(error, self.code)) from error

    def not_the_output(self, found: Any) -> Exception:
        what = "None: is a `return` missing?" if found is None else f"a value of type {type(found).__name__}"
        gives = f"Columns[{shown(self.output)}]" if self.is_columnar else shown(self.output)
        expected = f"{self.code.co_name} ({file_name(self.code)}, line {self.code.co_firstlineno}) gives {gives}"
        return NotTheOutput(f"{expected}, and it gave {what}")


class NotTheOutput(TypeError):
    """What a function returned is no row of its output: the message has the line."""


def read_transform(function: Callable[..., Any], names: dict[str, Any]) -> Transform:
    """Reads the function's types. Every mistake is a `SignatureError`."""
    code = getattr(function, "__code__", None)
    if code is None:
        raise SignatureError(f"@transform stands above a plain function, not above {function!r}")
    name = function.__qualname__
    taken = code.co_varnames[: code.co_argcount]
    if len(taken) not in (1, 2) or code.co_kwonlyargcount or code.co_flags & (0x04 | 0x08):
        raise SignatureError(f"{name} takes a row, and its parameters where it has some: def {code.co_name}(row: Row) -> Features")
    if code.co_flags & (0x20 | 0x80 | 0x200):
        raise SignatureError(f"{name} is a generator or async; a transform returns its features")
    annotations = annotations_of(function, names)
    for argument in (*taken, "return"):
        if argument not in annotations:
            what = "what it returns" if argument == "return" else f"`{argument}`"
            raise SignatureError(f"{name} does not say of which type {what} is: def {code.co_name}(row: Row) -> Features")
    row, output = annotations[taken[0]], annotations["return"]
    is_columnar = typing.get_origin(row) is Columns
    if is_columnar:
        (row,) = typing.get_args(row)
        output = columns_returned(output, name)
    elif typing.get_origin(output) is Columns:
        raise SignatureError(f"{name} gives columns and takes a row: `{taken[0]}: Columns[...]` makes it take columns")
    inputs = row_fields(row, "input", names)
    outputs = row_fields(output, "output", names)
    settings = annotations[taken[1]] if len(taken) == 2 else None
    parameters = read_parameters(settings, names) if settings is not None else ()
    read = attrgetter(*(field.attribute for field in outputs))
    if len(outputs) == 1:
        one = read

        def read_one(features: Any) -> tuple[Any, ...]:
            return (one(features),)

        read = read_one  # type: ignore[assignment]
    return Transform(
        function, code, row, output, inputs, outputs, settings, parameters, paragraphs(function.__doc__), is_columnar, read
    )


def columns_returned(annotation: Any, name: str) -> Any:
    """The output row of what a columnar function returns: `Columns[Features]`, or `tuple[Columns[Features], FailedRows]`."""
    inner = annotation
    if typing.get_origin(annotation) is tuple:
        parts = typing.get_args(annotation)
        inner = parts[0] if len(parts) == 2 and parts[1] is FailedRows else None
    if typing.get_origin(inner) is not Columns:
        raise SignatureError(
            f"{name} takes columns and returns `{shown(annotation)}`; it returns Columns[Features] or tuple[Columns[Features], FailedRows]"
        )
    return typing.get_args(inner)[0]


def annotations_of(function: Callable[..., Any], names: dict[str, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, localns=names, include_extras=True)
    except NameError as error:
        raise SignatureError(f"{function.__qualname__}: {error}") from None
