"""Classes of rows and parameters, read: names, types, docs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import typing
from dataclasses import dataclass
from typing import Any

from .errors import SignatureError
from .types import DataType, Hint, read_hint

AS_OF = "as_of"
"""The input that the runtime binds to the instant for which a value is asked."""

HISTORY = {"corrected_time", "retracted_time", "superseded_time", "superseded_published_time"}
BESIDE_FEATURES = frozenset({AS_OF, "event_time", "created_time", "published_time", "sequence"} | HISTORY)
"""Columns that stand beside the features in a feature row; the runtime refuses outputs of these names."""

NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Field:
    """An input or an output."""

    name: str
    """The column's name."""
    attribute: str
    """The name in Python."""
    data_type: DataType
    nullable: bool
    doc: str


def row_fields(row: type, role: str, names: dict[str, Any]) -> tuple[Field, ...]:
    """The fields of a class of rows: a dataclass or a `NamedTuple`. `role` is `input` or `output`; annotations that are text are looked up in
    `names` too."""
    attributes, annotations = attributes_of(row, f"the {role}", names)
    if dataclasses.is_dataclass(row) and any(field.kw_only for field in dataclasses.fields(row)):
        raise SignatureError(f"{row.__qualname__}: rows are made by position, so no field may be kw_only")
    docs = field_docs(row)
    fields: list[Field] = []
    for attribute in attributes:
        place = f"{row.__qualname__}.{attribute}"
        hint = read_hint(annotations[attribute], place)
        name = attribute if hint.name is None else hint.name
        check_name(name, place, role, hint, [field.name for field in fields])
        fields.append(Field(name, attribute, hint.data_type, hint.nullable, docs.get(attribute, "")))
    if not fields and role == "output":
        raise SignatureError(f"{row.__qualname__} has no field: a transform gives one feature at least")
    return tuple(fields)


def check_name(name: str, place: str, role: str, hint: Hint, before: list[str]) -> None:
    if not NAME.fullmatch(name):
        raise SignatureError(
            f"{place}: `{name}` cannot name a column: lower-case letters, digits and underscores, not starting with a digit"
        )
    if name in before:
        raise SignatureError(f"{place}: another field is called `{name}`")
    if role == "output" and name in BESIDE_FEATURES:
        raise SignatureError(
            f"{place}: an output cannot be called `{name}`: the runtime has a column of this name beside the features; "
            f'`Annotated[..., Name("feature_{name}")]` gives the field another name'
        )
    if role == "input" and name == AS_OF and (hint.data_type.kind != "timestamp" or hint.nullable):
        raise SignatureError(
            f"{place}: the input `as_of` is a `datetime` or a `Timestamp` and never null: the runtime binds it to the instant for "
            "which a value is asked"
        )


def attributes_of(row: Any, what: str, names: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The attributes of a dataclass or `NamedTuple` in their order, and their annotations."""
    if isinstance(row, type) and dataclasses.is_dataclass(row):
        listed = dataclasses.fields(row)
        for field in listed:
            if not field.init:
                raise SignatureError(f"{row.__qualname__}.{field.name}: every field is given a value; init=False forbids it")
        attributes = [field.name for field in listed]
    elif isinstance(row, type) and issubclass(row, tuple) and hasattr(row, "_fields"):
        attributes = list(row._fields)
    else:
        raise SignatureError(f"{what} is `{getattr(row, '__qualname__', row)}`, which is neither a dataclass nor a NamedTuple")
    try:
        annotations = typing.get_type_hints(row, localns=names, include_extras=True)
    except NameError as error:
        raise SignatureError(f"{row.__qualname__}: {error}") from None
    return attributes, annotations


def field_docs(row: type) -> dict[str, str]:
    """The docs of attributes: texts that stand alone behind a field. None where the source cannot be had."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(row)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return {}
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    docs: dict[str, str] = {}
    for statement, following in zip(body, body[1:]):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            if isinstance(following.value.value, str):
                docs[statement.target.id] = paragraphs(following.value.value)
    return docs


def paragraphs(text: str | None) -> str:
    """The lines of a paragraph joined by spaces, paragraphs parted by an empty line."""
    parts = re.split(r"\n[ \t]*\n", text or "")
    return "\n\n".join(filter(None, (" ".join(part.split()) for part in parts)))
