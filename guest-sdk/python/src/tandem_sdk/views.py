"""The columnar form: whole columns in, whole columns out, on typed buffers.

A function whose row is annotated `Columns[Purchase]` is given one value for each field: a `memoryview` of numbers, or one of the classes below
over the same buffers. Nothing is copied and no object is made until a value is looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any, Generic, TypeVar

from .columns import Column, Failures, column_of, is_valid, packed, pieces, texts
from .errors import CallError, RowError
from .fields import Field

Row = TypeVar("Row")
Item = TypeVar("Item")


class Strings(Sequence[str]):
    """A column of texts: `offsets` (`I`, one more than rows) into the UTF-8 `data`. Iterating decodes them, faster than one by one."""

    def __init__(self, data: memoryview, offsets: memoryview) -> None:
        self.data, self.offsets = data, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        row = index_of(row, len(self))
        return str(self.data[self.offsets[row] : self.offsets[row + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        return iter(texts(self.data, self.offsets))


class Binaries(Sequence[bytes]):
    """A column of bytes: `offsets` (`I`, one more than rows) into `data`."""

    def __init__(self, data: memoryview, offsets: memoryview) -> None:
        self.data, self.offsets = data, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        row = index_of(row, len(self))
        return bytes(self.data[self.offsets[row] : self.offsets[row + 1]])

    def __iter__(self) -> Iterator[bytes]:
        return iter(pieces(bytes(self.data), self.offsets))


class Vectors(Sequence[memoryview]):
    """A column of vectors: `values` (`f`) of all rows, `width` for each. A row is a view of them."""

    def __init__(self, values: memoryview, width: int) -> None:
        self.values, self.width = values, width

    def __len__(self) -> int:
        return len(self.values) // self.width

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        start = index_of(row, len(self)) * self.width
        return self.values[start : start + self.width]


class Sequences(Sequence[Any]):
    """A column of sequences: `offsets` (`I`, one more than rows) into `items`, a memoryview (`q`, `d`) or `Strings`. A row is a view of
    numbers, or a list of texts."""

    def __init__(self, items: Any, offsets: memoryview) -> None:
        self.items, self.offsets = items, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        row = index_of(row, len(self))
        return self.items[self.offsets[row] : self.offsets[row + 1]]


class Nullable(Sequence[Any], Generic[Item]):
    """A column whose rows may be null: `values` of all rows, zero or empty where null, and `validity`, a bool for each row, or `None` if every
    row has a value. A row that is null is `None`."""

    def __init__(self, values: Any, validity: Iterable[bool] | None) -> None:
        self.values = values
        self.validity = None if validity is None else list(validity)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        row = index_of(row, len(self))
        return self.values[row] if self.validity is None or self.validity[row] else None

    def __iter__(self) -> Iterator[Any]:
        if self.validity is None:
            return iter(self.values)
        return (value if valid else None for value, valid in zip(self.values, self.validity))


class Columns(Generic[Row]):
    """A column for each field of a class of rows, as attributes of the same names.

    The function gives its own as `Columns(Features, net=..., merchant=...)`. A column of numbers may be any buffer of the type (`array("d")`,
    a `memoryview`), any column may be an iterable of values with `None` where null, or a `Nullable`.
    """

    def __init__(self, row: type[Row], /, **columns: Any) -> None:
        self._row = row
        self.__dict__.update(columns)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no column `{name}` of {self._row.__qualname__}", name=name, obj=self)

    def __repr__(self) -> str:
        return f"Columns({self._row.__qualname__}, {', '.join(given_names(self))})"


class FailedRows:
    """The rows of a columnar call that have no value, and why. Return it beside the columns: `return columns, failed`."""

    def __init__(self) -> None:
        self._messages = Failures()

    def add(self, row: int, error: RowError | str) -> None:
        """This row has failed. Of several errors of one row the first counts; any order of rows will do."""
        if row < 0:
            raise IndexError(f"row {row}: rows are counted from 0")
        self._messages.add(row, str(error))

    def __len__(self) -> int:
        return len(self._messages)


def given_names(columns: Columns[Any]) -> list[str]:
    return [name for name in vars(columns) if name != "_row"]


def index_of(row: int, rows: int) -> int:
    if not -rows <= row < rows:
        raise IndexError(f"row {row} of {rows}")
    return row % rows


def view_of(column: Column, field: Field, rows: int) -> Any:
    """What the author's function is given for a column."""
    kind = field.data_type.kind
    view: Any
    if kind == "float32-vector":
        view = Vectors(column.values, field.data_type.width or 1)
    elif column.offsets is None:
        view = column.values.cast("B").cast("?") if kind == "boolean" else column.values
    elif kind == "string":
        view = Strings(column.values, column.offsets)
    elif kind == "binary":
        view = Binaries(column.values, column.offsets)
    else:
        items = column.values if column.item_offsets is None else Strings(column.values, column.item_offsets)
        view = Sequences(items, column.offsets)
    if not field.nullable:
        return view
    return Nullable(view, None if column.validity is None else is_valid(column.validity, rows))


BUFFERS = {"boolean": "?Bb", "int64": "ql", "float64": "d", "timestamp": "ql"}
"""Formats of buffers that are taken as they are, if their items are of the right size."""


def column_from(given: Any, field: Field, rows: int, failures: Failures) -> Column:
    """The column that the author's function gave for an output."""
    validity: list[bool] | None = None
    if isinstance(given, Nullable):
        if not field.nullable and given.validity is not None and not all(given.validity):
            raise CallError(f"output `{field.name}` has nulls, and it is not nullable")
        given, validity = given.values, given.validity
    column = buffer_of(given, field)
    if column is None:
        values = list(given)
        if validity is not None:
            check_rows(len(validity), field, rows, "bits of validity")
            values = [value if valid else None for value, valid in zip(values, validity)]
        check_rows(len(values), field, rows)
        return column_of(values, field, failures)
    check_rows(len(column.values), field, rows)
    if validity is not None:
        check_rows(len(validity), field, rows, "bits of validity")
        missing = [not valid for valid in validity]
        if any(missing):
            # Under a null lies a zero, on both sides of the boundary.
            zeroed = array(column.values.format, column.values)
            for row in compress(range(rows), missing):
                zeroed[row] = 0
            column = Column(memoryview(zeroed), validity=memoryview(packed(missing)))
    return column


def buffer_of(given: Any, field: Field) -> Column | None:
    """A buffer of numbers of the output's type, as it is; none if it is something else."""
    formats = BUFFERS.get(field.data_type.kind)
    if formats is None or isinstance(given, (list, tuple)):
        return None
    try:
        buffer = memoryview(given)
    except TypeError:
        return None
    size = 1 if field.data_type.kind == "boolean" else 8
    if buffer.format not in formats or buffer.itemsize != size or not buffer.c_contiguous or buffer.ndim != 1:
        raise CallError(
            f"output `{field.name}` is a buffer of `{buffer.format}`, and {field.data_type} needs one of `{formats[0]}`, or a list"
        )
    if field.data_type.kind == "boolean":
        buffer = buffer.cast("B")
        if buffer.tobytes().translate(None, b"\x00\x01"):
            raise CallError(f"output `{field.name}` is a buffer of booleans with other bytes than 0 and 1")
        return Column(buffer)
    numbers = buffer.cast("B")
    return Column(numbers.cast("d")) if field.data_type.kind == "float64" else Column(numbers.cast("q"))


def check_rows(found: int, field: Field, rows: int, what: str = "rows") -> None:
    if found != rows:
        raise CallError(f"output `{field.name}` has {found} {what}, and the call has {rows} rows")
