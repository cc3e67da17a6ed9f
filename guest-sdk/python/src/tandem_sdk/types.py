"""The contract's types, and the Python types that stand for them."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import SignatureError
from .time import Timestamp


@dataclass(frozen=True)
class Width:
    """The number of values of a vector: `Annotated[list[float], Width(64)]`."""

    values: int

    def __post_init__(self) -> None:
        if type(self.values) is not int or not 1 <= self.values <= 0xFFFF_FFFF:
            raise SignatureError(f"the width of a vector is a whole number from 1 on, not {self.values!r}")


@dataclass(frozen=True)
class Name:
    """The name of a column that no field of Python can have: `type_: Annotated[str, Name("type")]`."""

    text: str


@dataclass(frozen=True)
class DataType:
    """The type of a column."""

    kind: str
    """boolean, int64, float64, timestamp, string, binary, float32-vector or sequence."""
    python: type
    """The type of a value that is not null."""
    item: str | None = None
    """Of a sequence: int64, float64 or string."""
    width: int | None = None
    """Of a vector: its number of values."""

    def __str__(self) -> str:
        if self.kind == "sequence":
            return f"sequence({self.item})"
        return f"float32-vector({self.width})" if self.kind == "float32-vector" else self.kind


SCALARS = {
    bool: DataType("boolean", bool),
    int: DataType("int64", int),
    float: DataType("float64", float),
    Timestamp: DataType("timestamp", Timestamp),
    datetime: DataType("timestamp", datetime),
    str: DataType("string", str),
    bytes: DataType("binary", bytes),
}

SEQUENCES = {int: "int64", float: "float64", str: "string"}

KNOWN = (
    "bool, int, float, datetime, Timestamp, str, bytes, list[int], list[float], list[str], "
    "Annotated[list[float], Width(n)] for a vector, or `| None` after one of these"
)


@dataclass(frozen=True)
class Hint:
    """What the annotation of a field says."""

    data_type: DataType
    nullable: bool
    name: str | None


def read_hint(annotation: Any, field: str) -> Hint:
    """The type of a field of rows. `field` names it in a mistake, which is a `SignatureError`."""
    inner, notes, nullable = unwrap(annotation)
    widths = [note for note in notes if isinstance(note, Width)]
    names = [note.text for note in notes if isinstance(note, Name)]
    data_type = SCALARS.get(inner) if isinstance(inner, type) else None
    if typing.get_origin(inner) is list:
        (item,) = typing.get_args(inner)
        if widths and item is float:
            data_type = DataType("float32-vector", list, width=widths[0].values)
        elif item in SEQUENCES and not widths:
            data_type = DataType("sequence", list, item=SEQUENCES[item])
    elif widths:
        data_type = None
    if data_type is None:
        raise SignatureError(f"{field}: `{shown(annotation)}` is not the type of a column; it may be {KNOWN}")
    return Hint(data_type, nullable, names[0] if names else None)


def unwrap(annotation: Any) -> tuple[Any, list[Any], bool]:
    """An annotation without `Annotated` and `None`: the type, the notes, and whether it may be `None`."""
    notes: list[Any] = []
    nullable = False
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            notes.extend(annotation.__metadata__)
            annotation = annotation.__origin__
        elif origin in (typing.Union, types.UnionType):
            inner = [choice for choice in typing.get_args(annotation) if choice is not type(None)]
            if len(inner) != 1:
                return annotation, notes, nullable
            annotation, nullable = inner[0], True
        else:
            return annotation, notes, nullable


def shown(annotation: Any) -> str:
    """A type as an author wrote it, or nearly."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
