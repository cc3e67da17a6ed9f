"""Calls a transform as the runtime does: columns and parameters in, columns and failed rows out.

A test of what a function computes calls the function. This is for the rest: names, types, docs, parameters, and which rows fail.

    results = call(features, {"amount": [12.5, -1.0], "merchant": ["Café", None]}, {"large_amount": 10.0})
    assert results.output("is_large") == [True, None]
    assert results.failures == [(1, "amount: must not be negative")]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .aggregate import Aggregate, aggregate_of
from .call import Transform
from .columns import Failures, column_of, values_of
from .decorator import transform_of
from .errors import CallError
from .fields import Field
from .parameters import Given
from .time import Timestamp, micros


@dataclass(frozen=True)
class Results:
    """What a call gave."""

    columns: dict[str, list[Any]]
    """The values of each output; `None` where null, and where the row failed."""
    failures: list[tuple[int, str]]
    """The rows that failed, and why."""

    def output(self, name: str) -> list[Any]:
        """The values of one output."""
        if name not in self.columns:
            raise KeyError(f"the transform has no output `{name}`; it has {', '.join(self.columns)}")
        return self.columns[name]


@dataclass(frozen=True)
class Signature:
    """Names, types and docs, as the runtime reads them."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    doc: str


def signature(function: Callable[..., Any], parameters: Mapping[str, Any] | None = None) -> Signature:
    """What a transform takes and gives. Parameters that it refuses are a `CallError`."""
    transform = transform_of(function)
    transform.arguments(given_parameters(parameters))
    return Signature(transform.inputs, transform.outputs, transform.doc)


def call(
    function: Callable[..., Any], inputs: Mapping[str, Sequence[Any]], parameters: Mapping[str, Any] | None = None
) -> Results:
    """Runs a transform over columns of values, `None` where null. An input that is not given is a `CallError`, and so is one too many."""
    transform = transform_of(function)
    rows = len(next(iter(inputs.values()), ()))
    columns = [column_of(values, field, Refusing()) for field, values in zip(transform.inputs, given_inputs(transform, inputs))]
    outcome = transform.apply(given_parameters(parameters), rows, columns)
    failed = dict(outcome.failures)
    found = {}
    for field, column in zip(transform.outputs, outcome.columns):
        values = values_of(column, field, rows, Failures())
        found[field.name] = [None if row in failed else value for row, value in enumerate(values)]
    return Results(found, outcome.failures)


def given_inputs(transform: Transform, inputs: Mapping[str, Sequence[Any]]) -> list[Sequence[Any]]:
    names = [field.name for field in transform.inputs]
    for name in inputs:
        if name not in names:
            raise CallError(f"the transform has no input `{name}`; it has {', '.join(names)}")
    for name in names:
        if name not in inputs:
            raise CallError(f"no input `{name}` is given")
    lengths = {name: len(values) for name, values in inputs.items()}
    if len(set(lengths.values())) > 1:
        raise CallError(f"the inputs have different numbers of rows: {lengths}")
    return [inputs[name] for name in names]


class Refusing(Failures):
    """A value of a test that is not of the input's type is a mistake of the test, and no failed row."""

    def add(self, row: int, message: str) -> None:
        raise CallError(f"row {row}: {message}")



def given_parameters(parameters: Mapping[str, Any] | None) -> list[Given]:
    """Parameters as the runtime gives them, sorted by name."""
    return [given(name, value) for name, value in sorted((parameters or {}).items())]


def given(name: str, value: Any) -> Given:
    scalars = {bool: "boolean", int: "int64", float: "float64", str: "text"}
    if type(value) in scalars:
        return Given(name, scalars[type(value)], value)
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in value}
        if kinds <= {datetime, Timestamp} and kinds:
            return Given(name, "timestamps", [micros(item) if isinstance(item, datetime) else int(item) for item in value])
        lists = {int: "int64s", float: "float64s", str: "texts"}
        if len(kinds) <= 1 and all(kind in lists for kind in kinds):
            return Given(name, lists[kinds.pop()] if kinds else "float64s", list(value))
    raise CallError(f"parameter `{name}`: {value!r} cannot be given in a definition")


def value(
    state: type, inputs: Mapping[str, Sequence[Any]], as_of: int = 0, parameters: Mapping[str, Any] | None = None
) -> Any:
    """The value of events at an instant, by the class of an aggregate; `inputs` are columns of their values.

    The events are added to one state, and again half to one and half to another, which are merged in both orders; states that differ are a `CallError`.
    """
    aggregate = aggregate_of(state)
    settings = given_parameters(parameters)
    given = given_events(aggregate, inputs)
    events = len(given[0]) if given else 0

    def add(count: int, groups: list[int]) -> list[bytes]:
        columns = [column_of(values, field, Refusing()) for field, values in zip(aggregate.inputs, given)]
        return aggregate.add(settings, [aggregate.empty(settings)] * count, groups, columns)

    (whole,) = add(1, [0] * events)
    even, odd = add(2, [event % 2 for event in range(events)])
    empty = aggregate.empty(settings)
    for one, other in ((even, odd), (odd, even), (whole, empty), (empty, whole)):
        if aggregate.merge(settings, [one], [other]) != [whole]:
            raise CallError("the state depends on how the events are divided or ordered")
    column = aggregate.finish(settings, [whole], [as_of])
    return values_of(column, aggregate.output, 1, Failures())[0]


def given_events(aggregate: Aggregate, inputs: Mapping[str, Sequence[Any]]) -> list[Sequence[Any]]:
    names = [field.name for field in aggregate.inputs]
    if set(names) != set(inputs):
        raise CallError(f"the aggregate has the inputs {', '.join(names)}; given are {', '.join(inputs)}")
    return [inputs[name] for name in names]
