"""Parameters of a transform: what a view's definition sets for it."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import CallError, SignatureError
from .fields import attributes_of, field_docs
from .time import Timestamp
from .types import Name, shown, unwrap

KINDS: dict[Any, str] = {
    bool: "boolean",
    int: "int64",
    float: "float64",
    str: "text",
    list[int]: "int64s",
    list[float]: "float64s",
    list[Timestamp]: "timestamps",
    list[datetime]: "timestamps",
    list[str]: "texts",
}

EXPECTED = {
    "boolean": "a boolean",
    "int64": "an int64",
    "float64": "a float64 (or an int64 that is one exactly)",
    "text": "a text",
    "int64s": "a list of int64",
    "float64s": "a list of float64 (or of int64 that are float64 exactly)",
    "timestamps": "a list of timestamps",
    "texts": "a list of texts",
}

GIVEN = {"int64s": "int64", "float64s": "float64", "timestamps": "timestamps", "texts": "texts"}


@dataclass(frozen=True)
class Given:
    """A parameter as it crosses the boundary: its kind, one of `EXPECTED`, and its value; timestamps are microseconds."""

    name: str
    kind: str
    value: Any

    def __str__(self) -> str:
        if self.kind in GIVEN:
            return f"a list of {len(self.value)} {GIVEN[self.kind]}"
        if self.kind == "boolean":
            return f"the boolean {str(self.value).lower()}"
        if self.kind == "text":
            return f'the text "{self.value}"'
        return f"the {self.kind} {self.value}"


@dataclass(frozen=True)
class Parameter:
    """A field of a class of parameters."""

    name: str
    attribute: str
    annotation: Any
    kind: str
    required: bool
    nullable: bool
    doc: str


def read_parameters(settings: type, names: dict[str, Any]) -> tuple[Parameter, ...]:
    """The fields of a dataclass of parameters. One with a default, or that may be `None`, may be left out."""
    if not dataclasses.is_dataclass(settings):
        raise SignatureError(f"the parameters are `{shown(settings)}`, which is no dataclass")
    attributes, annotations = attributes_of(settings, "the parameters", names)
    docs = field_docs(settings)
    missing = dataclasses.MISSING
    parameters = []
    for field in dataclasses.fields(settings):
        inner, notes, nullable = unwrap(annotations[field.name])
        kind = KINDS.get(inner) if typing.get_origin(inner) in (list, None) else None
        if kind is None:
            raise SignatureError(
                f"{settings.__qualname__}.{field.name}: `{shown(annotations[field.name])}` is not the type of a parameter; it may be "
                "bool, int, float, str, list[int], list[float], list[datetime], list[Timestamp], list[str], or `| None` after one of these"
            )
        has_default = field.default is not missing or field.default_factory is not missing
        named = [note.text for note in notes if isinstance(note, Name)]
        name = named[0] if named else field.name
        parameters.append(
            Parameter(name, field.name, inner, kind, not (has_default or nullable), nullable and not has_default, docs.get(field.name, ""))
        )
    return tuple(parameters)


def take_parameters(settings: type | None, known: tuple[Parameter, ...], given: list[Given]) -> Any:
    """An instance of the class of parameters; refuses those that are unknown, missing, given twice or of the wrong type."""
    by_name: dict[str, Given] = {}
    names = [parameter.name for parameter in known]
    for one in given:
        if one.name not in names:
            are = f"the parameters are {', '.join(names)}" if names else "the transform has no parameters"
            raise CallError(f"unknown parameter `{one.name}`: {are}")
        if one.name in by_name:
            raise CallError(f"parameter `{one.name}` is given twice")
        by_name[one.name] = one
    if settings is None:
        return None
    values = {}
    for parameter in known:
        value = by_name.get(parameter.name)
        if value is not None:
            values[parameter.attribute] = converted(parameter, value)
        elif parameter.required:
            raise refused(parameter, "it is missing")
        elif parameter.nullable:
            values[parameter.attribute] = None
    return settings(**values)


def converted(parameter: Parameter, given: Given) -> Any:
    kind, value = parameter.kind, given.value
    if given.kind == kind:
        if kind == "timestamps":
            (item,) = typing.get_args(parameter.annotation)
            instants = [Timestamp(micros) for micros in value]
            try:
                return [instant.datetime() for instant in instants] if item is datetime else instants
            except OverflowError:
                raise refused(parameter, "given one beyond the years 1 to 9999") from None
        return value
    if kind == "float64" and given.kind == "int64" and exact(value):
        return float(value)
    if kind == "float64s" and given.kind == "int64s" and all(map(exact, value)):
        return list(map(float, value))
    if kind in GIVEN and given.kind in GIVEN and not len(value):
        return []  # a list without items has no type of its own in a definition
    raise refused(parameter, f"given {given}")


def exact(value: int) -> bool:
    """Whether a 64-bit integer is a float64 exactly."""
    return int(float(value)) == value


def refused(parameter: Parameter, reason: str) -> CallError:
    hint = f" ({parameter.doc})" if parameter.doc else ""
    return CallError(f"parameter `{parameter.name}`: expected {EXPECTED[parameter.kind]}, {reason}{hint}")
