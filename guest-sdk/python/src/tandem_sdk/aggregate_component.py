"""The aggregate inside its component: the contract's types, as componentize-py's bindings have them, to the SDK's own and back.

The bindings are those of the contract itself: states are bytes, and of the few numbers that cross each is an object. `wit_world` and `componentize_py_types`
are there while a component is built, and inside it.
"""

from __future__ import annotations

from array import array
from types import ModuleType
from typing import Any

from componentize_py_types import Err
from wit_world.imports import columns, outcomes, signatures

from .aggregate import aggregate_in
from .columns import Column
from .errors import CallError, bounded
from .fields import Field
from .parameters import Given
from .types import DataType


def aggregation_of(module: ModuleType) -> type:
    """The class that componentize-py looks for: the functions of the interface."""
    aggregate = aggregate_in(module)

    class Aggregation:
        def describe(self, parameters: list[Any]) -> Any:
            told(lambda: aggregate.arguments(list(map(given, parameters))))
            inputs, outputs = list(map(field_of, aggregate.inputs)), [field_of(aggregate.output)]
            return signatures.Signature(inputs, outputs, aggregate.doc)

        def empty(self, parameters: list[Any]) -> Any:
            return told(lambda: aggregate.empty(list(map(given, parameters))))

        def add(self, parameters: list[Any], states: Any, groups: list[int], inputs: list[Any]) -> Any:
            found = list(map(column_from, inputs))
            return together(told(lambda: aggregate.add(list(map(given, parameters)), apart(states), groups, found)))

        def merge(self, parameters: list[Any], states: Any, others: Any) -> Any:
            return together(told(lambda: aggregate.merge(list(map(given, parameters)), apart(states), apart(others))))

        def finish(self, parameters: list[Any], states: Any, as_of: list[int]) -> Any:
            column = told(lambda: aggregate.finish(list(map(given, parameters)), apart(states), as_of))
            return column_to(column, aggregate.output.data_type)

    return Aggregation


def told(work: Any) -> Any:
    """What `work` gives, or its error as the contract has it."""
    try:
        return work()
    except CallError as error:
        raise Err(outcomes.Failure(bounded(str(error)))) from None


def apart(states: Any) -> list[bytes]:
    """States behind offsets."""
    return [bytes(states.data[start:end]) for start, end in zip(states.offsets, states.offsets[1:])]


def together(states: list[bytes]) -> Any:
    offsets = [0]
    for state in states:
        offsets.append(offsets[-1] + len(state))
    return columns.VarBytes(offsets, b"".join(states))


def given(parameter: Any) -> Given:
    """A parameter of the contract."""
    kind, value = type(parameter.value).__name__.rsplit("_", 1)[-1].lower(), parameter.value.value
    if kind == "texts":
        value = [text.decode() for text in apart(value)]
    elif kind in ("int64s", "float64s", "timestamps"):
        value = list(value)
    return Given(parameter.name, kind, value)


def field_of(field: Field) -> Any:
    return signatures.Field(field.name, data_type_of(field.data_type), field.nullable, field.doc)


def data_type_of(data_type: DataType) -> Any:
    if data_type.kind == "sequence":
        return signatures.DataType_Sequence(signatures.ItemType[(data_type.item or "").upper()])
    if data_type.kind == "float32-vector":
        return signatures.DataType_Float32Vector(data_type.width)
    return getattr(signatures, f"DataType_{data_type.kind.capitalize()}")()


FIXED = {"Int64s": "q", "Timestamps": "q", "Float64s": "d"}


def numbers(code: str, values: Any) -> memoryview:
    return memoryview(array(code, values))


def column_from(column: Any) -> Column:
    """A column that was given."""
    value, validity = column.values.value, None if column.validity is None else memoryview(bytes(column.validity))
    case = type(column.values).__name__.removeprefix("Values_")
    if case in FIXED:
        return Column(numbers(FIXED[case], value), validity=validity)
    if case == "Booleans":
        return Column(memoryview(bytes(value)), validity=validity)
    if case == "Float32Vectors":
        return Column(numbers("f", value.data), validity=validity)
    if case != "Sequences":
        return Column(memoryview(bytes(value.data)), numbers("I", value.offsets), validity=validity)
    offsets, items = numbers("I", value.offsets), value.items.value
    of = type(value.items).__name__.removeprefix("Items_")
    if of == "Strings":
        return Column(memoryview(bytes(items.data)), offsets, numbers("I", items.offsets), validity)
    return Column(numbers(FIXED[of], items), offsets, validity=validity)


CASES = {"int64": "Int64s", "timestamp": "Timestamps", "float64": "Float64s", "string": "Strings", "binary": "Binaries"}


def column_to(column: Column, data_type: DataType) -> Any:
    """A column that is given back."""
    kind, data = data_type.kind, column.values
    validity = None if column.validity is None else column.validity.tobytes()
    if kind == "boolean":
        values = columns.Values_Booleans(data.tobytes())
    elif kind == "float32-vector":
        values = columns.Values_Float32Vectors(columns.Vectors(data_type.width, data.tolist()))
    elif kind == "sequence":
        if data_type.item == "string":
            items = columns.Items_Strings(columns.VarBytes(offsets(column.item_offsets), data.tobytes()))
        else:
            items = getattr(columns, f"Items_{CASES[data_type.item or '']}")(data.tolist())
        values = columns.Values_Sequences(columns.Sequences(offsets(column.offsets), items))
    elif kind in ("string", "binary"):
        values = getattr(columns, f"Values_{CASES[kind]}")(columns.VarBytes(offsets(column.offsets), data.tobytes()))
    else:
        values = getattr(columns, f"Values_{CASES[kind]}")(data.tolist())
    return columns.Column(values, validity)


def offsets(column: memoryview | None) -> list[int]:
    assert column is not None
    return column.tolist()
