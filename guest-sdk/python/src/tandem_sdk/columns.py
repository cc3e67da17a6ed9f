"""Columns as they cross the boundary, and Python's values of them.

A column is buffers: no object for a value. `values_of` makes the list of a column's values, `column_of` a column of values.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, compress
from typing import Any

from .errors import CallError
from .fields import Field
from .time import EPOCH, Timestamp, micros
from .types import DataType

FORMATS = {"boolean": "B", "int64": "q", "float64": "d", "timestamp": "q"}
"""How the buffer of a column of fixed width is read, as in `struct`."""

ITEM_FORMATS = {"int64": "q", "float64": "d"}

BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1


@dataclass
class Column:
    """A column of rows in Arrow's memory layout, as the contract has it."""

    values: memoryview[Any]
    """Of one item for each row (`B`, `q`, `d`), of `width` for each (`f`), of all items of sequences, or of the bytes of all texts."""
    offsets: memoryview | None = None
    """Of strings, binaries and sequences: rows + 1 offsets (`I`) into the values, or into the items."""
    item_offsets: memoryview | None = None
    """Of sequences of strings: offsets of the items (`I`) into the values."""
    validity: memoryview | None = None
    """A bit for each row (`B`), least significant first; none: every row has a value."""


class Failures(dict[int, str]):
    """Rows that have no value, and why."""

    def add(self, row: int, message: str) -> None:
        """Of several reasons the first counts."""
        self.setdefault(row, message)


def is_valid(validity: memoryview, rows: int) -> list[bool]:
    """Which rows have a value."""
    return list(chain.from_iterable(map(BITS.__getitem__, validity)))[:rows]


def values_of(column: Column, field: Field, rows: int, failures: Failures) -> list[Any]:
    """The values of a column; `None` where null. A value that Python cannot hold fails its row."""
    values = raw_values(column, field.data_type, rows)
    if field.data_type.python is datetime:
        values = datetimes(values, field, failures)
    if field.nullable and column.validity is not None:
        return [value if valid else None for value, valid in zip(values, is_valid(column.validity, rows))]
    return values


def raw_values(column: Column, data_type: DataType, rows: int) -> list[Any]:
    kind = data_type.kind
    if kind == "boolean":
        return list(map(bool, column.values))
    if kind in ("int64", "float64"):
        return column.values.tolist()
    if kind == "timestamp":
        return column.values.tolist() if data_type.python is datetime else list(map(Timestamp, column.values))
    if kind == "float32-vector":
        return pieces(column.values.tolist(), range(0, (rows + 1) * (data_type.width or 1), data_type.width or 1))
    assert column.offsets is not None
    if kind == "string":
        return texts(column.values, column.offsets)
    if kind == "binary":
        return pieces(bytes(column.values), column.offsets)
    if data_type.item == "string":
        assert column.item_offsets is not None
        return pieces(texts(column.values, column.item_offsets), column.offsets)
    return pieces(column.values.tolist(), column.offsets)


def pieces(whole: Any, offsets: Iterable[int]) -> list[Any]:
    """What lies between neighbouring offsets."""
    ends = iter(offsets)
    start = next(ends)
    found = []
    for end in ends:
        found.append(whole[start:end])
        start = end
    return found


def texts(data: memoryview, offsets: memoryview) -> list[str]:
    encoded = bytes(data)
    if encoded.isascii():  # then offsets of bytes are those of characters
        return pieces(encoded.decode("ascii"), offsets)
    return [piece.decode() for piece in pieces(encoded, offsets)]


def datetimes(values: list[int], field: Field, failures: Failures) -> list[datetime]:
    try:
        return [EPOCH + timedelta(microseconds=value) for value in values]
    except OverflowError:
        pass
    instants = []
    for row, value in enumerate(values):
        try:
            instants.append(EPOCH + timedelta(microseconds=value))
        except OverflowError:
            instants.append(EPOCH)
            failures.add(
                row,
                f"{field.name}: {value} microseconds since 1970 lie beyond the years 1 to 9999 of datetime; tandem_sdk.Timestamp has them",
            )
    return instants


def column_of(values: Sequence[Any], field: Field, failures: Failures) -> Column:
    """The column of values, `None` where null. A value that is not of the field's type fails its row; rows that have failed already may hold
    `None` anyway."""
    validity = None
    missing = [value is None for value in values]
    if any(missing):
        if field.nullable:
            validity = memoryview(packed(missing))
        else:
            for row in compress(range(len(values)), missing):
                failures.add(row, f"{field.name}: None, and it is not nullable: `{field.attribute}: ... | None` makes it so")
    column = BUILDERS[field.data_type.kind](values, field, failures)
    column.validity = validity
    return column


def packed(missing: list[bool]) -> bytes:
    """Validity: the bits of the rows that are not missing."""
    bits = "".join("0" if absent else "1" for absent in reversed(missing))
    return int(bits, 2).to_bytes((len(missing) + 7) // 8, "little")


def checked(values: Sequence[Any], field: Field, failures: Failures, convert: Callable[[Any], Any], empty: Any) -> list[Any]:
    """The values converted one by one; `empty` where there is none or it cannot be."""
    found = []
    for row, value in enumerate(values):
        if value is None:
            found.append(empty)
            continue
        try:
            found.append(convert(value))
        except (TypeError, ValueError, OverflowError) as error:
            found.append(empty)
            failures.add(row, f"{field.name}: {error}")
    return found


def wrong(value: Any, expected: str) -> TypeError:
    text = repr(value)
    if len(text) > 80:
        text = text[:79] + "…"
    return TypeError(f"expected {expected}, found {text} of type {type(value).__name__}")


def as_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise wrong(value, "bool")
    return value


def as_int(value: Any) -> int:
    if type(value) is not int and (type(value) is bool or not isinstance(value, int)):
        raise wrong(value, "int")
    if not INT64_MIN <= value <= INT64_MAX:
        raise OverflowError(f"{value if value.bit_length() < 400 else 'it'} does not fit into 64 bits")
    return value


def as_float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is bool or not isinstance(value, (int, float)):
        raise wrong(value, "float")
    return float(value)


def as_micros(value: Any) -> int:
    if isinstance(value, datetime):
        return micros(value)
    if type(value) is not Timestamp:
        raise wrong(value, "datetime or Timestamp")
    return as_int(value)


def as_utf8(value: Any) -> bytes:
    if not isinstance(value, str):
        raise wrong(value, "str")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{ascii(value)[:80]} is not Unicode text: a surrogate stands alone in it") from None


def as_bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise wrong(value, "bytes")
    return bytes(value)


FAST = {"boolean": (bool,), "int64": (int,), "float64": (float,)}
CONVERT: dict[str, Callable[[Any], Any]] = {
    "boolean": as_bool,
    "int64": as_int,
    "float64": as_float,
    "timestamp": as_micros,
    "string": as_utf8,
    "binary": as_bytes,
}


def fixed(values: Sequence[Any], field: Field, failures: Failures) -> Column:
    kind = field.data_type.kind
    code = FORMATS[kind]
    if set(map(type, values)).issubset(FAST.get(kind, ())):  # all of the one type: nothing to convert
        try:
            return Column(memoryview(array(code, values)))
        except OverflowError:
            pass
    return Column(memoryview(array(code, checked(values, field, failures, CONVERT[kind], 0))))


def variable(values: Sequence[Any], field: Field, failures: Failures) -> Column:
    encoded = checked(values, field, failures, CONVERT[field.data_type.kind], b"")
    data = b"".join(encoded)
    return Column(memoryview(data), memoryview(offsets_of(encoded)))


def vectors(values: Sequence[Any], field: Field, failures: Failures) -> Column:
    width = field.data_type.width or 1

    def convert(value: Any) -> array[float]:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise wrong(value, f"a list of {width} float")
        if len(value) != width:
            raise ValueError(f"expected {width} values, found {len(value)}")
        return array("f", items_of(value, as_float))

    flat = array("f")
    for vector in checked(values, field, failures, convert, array("f", bytes(4 * width))):
        flat.extend(vector)
    return Column(memoryview(flat))


def sequences(values: Sequence[Any], field: Field, failures: Failures) -> Column:
    item = field.data_type.item or ""

    def convert(value: Any) -> list[Any]:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise wrong(value, f"a list of {SEQUENCE_ITEMS[item]}")
        return items_of(value, CONVERT[item])

    converted = checked(values, field, failures, convert, [])
    offsets = memoryview(offsets_of(converted))
    items = list(chain.from_iterable(converted))
    if item == "string":
        return Column(memoryview(b"".join(items)), offsets, memoryview(offsets_of(items)))
    return Column(memoryview(array(ITEM_FORMATS[item], items)), offsets)


SEQUENCE_ITEMS = {"int64": "int", "float64": "float", "string": "str"}


def items_of(values: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    found = []
    for index, value in enumerate(values):
        try:
            found.append(convert(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise type(error)(f"item {index}: {error}") from None
    return found


def offsets_of(values: Iterable[Sequence[Any]]) -> array[int]:
    offsets = array("I", [0])
    end = 0
    for value in values:
        end += len(value)
        if end > 0xFFFF_FFFF:
            raise CallError("a column has more than 4,294,967,295 bytes or items")
        offsets.append(end)
    return offsets


BUILDERS: dict[str, Callable[[Sequence[Any], Field, Failures], Column]] = {
    "boolean": fixed,
    "int64": fixed,
    "float64": fixed,
    "timestamp": fixed,
    "string": variable,
    "binary": variable,
    "float32-vector": vectors,
    "sequence": sequences,
}
