"""The transform inside its component: the contract's types, as componentize-py's bindings have them, to the SDK's own and back.

The bindings are those of the contract in bytes (`runtime/build`): every list of numbers crosses as one copy of bytes, and no object is made
for a number. `wit_world` and `componentize_py_types` are there while a component is built, and inside it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from componentize_py_types import Err
from wit_world.exports import calls

from .columns import Column
from .decorator import transform_in
from .errors import CallError, bounded, with_line
from .fields import Field
from .parameters import Given
from .types import DataType


def calls_of(module: ModuleType) -> type:
    """The class that componentize-py looks for: both functions of the contract."""
    transform = transform_in(module)

    class Calls:
        def describe(self, parameters: list[Any]) -> Any:
            try:
                transform.arguments(list(map(given, parameters)))
            except CallError as error:
                raise failure(str(error)) from None
            inputs, outputs = ([field_of(field) for field in fields] for fields in (transform.inputs, transform.outputs))
            return calls.Signature(inputs, outputs, transform.doc)

        def apply(self, parameters: list[Any], rows: int, inputs: list[Any]) -> Any:
            try:
                outcome = transform.apply(list(map(given, parameters)), rows, list(map(column_from, inputs)))
            except CallError as error:
                raise failure(str(error)) from None
            except Exception as error:
                raise failure(with_line(error, transform.code)) from None
            columns = [column_to(column, field.data_type) for column, field in zip(outcome.columns, transform.outputs)]
            return calls.Outcome(columns, [calls.RowFailure(row, message) for row, message in outcome.failures])

    return Calls


def failure(message: str) -> Exception:
    error: Exception = Err(calls.Failure(bounded(message)))
    return error


def given(parameter: Any) -> Given:
    """A parameter of the contract."""
    kind, value = type(parameter.value).__name__.rsplit("_", 1)[-1].lower(), parameter.value.value
    if kind == "int64":
        (value,) = read("q", value)
    elif kind in ("int64s", "timestamps"):
        value = read("q", value).tolist()
    elif kind == "float64s":
        value = read("d", value).tolist()
    elif kind == "texts":
        offsets = read("I", value.offsets)
        value = [value.data[start:end].decode() for start, end in zip(offsets, offsets[1:])]
    return Given(parameter.name, kind, value)


def field_of(field: Field) -> Any:
    return calls.Field(field.name, data_type_of(field.data_type), field.nullable, field.doc)


def data_type_of(data_type: DataType) -> Any:
    if data_type.kind == "sequence":
        return calls.DataType_Sequence(calls.ItemType[(data_type.item or "").upper()])
    if data_type.kind == "float32-vector":
        return calls.DataType_Float32Vector(data_type.width)
    return getattr(calls, f"DataType_{data_type.kind.capitalize()}")()


def read(code: str, data: bytes) -> memoryview:
    """Numbers without a copy."""
    return memoryview(data) if code == "B" else memoryview(data).cast(code)  # type: ignore[call-overload]


FIXED = {"Booleans": "B", "Int64s": "q", "Timestamps": "q", "Float64s": "d"}


def column_from(column: Any) -> Column:
    """A column that was given."""
    value, validity = column.values.value, None if column.validity is None else memoryview(column.validity)
    case = type(column.values).__name__.removeprefix("Values_")
    if case in FIXED:
        return Column(read(FIXED[case], value), validity=validity)
    if case == "Float32Vectors":
        return Column(read("f", value.data), validity=validity)
    if case != "Sequences":
        return Column(read("B", value.data), read("I", value.offsets), validity=validity)
    offsets, items = read("I", value.offsets), value.items.value
    of = type(value.items).__name__.removeprefix("Items_")
    if of == "Strings":
        return Column(read("B", items.data), offsets, read("I", items.offsets), validity)
    return Column(read(FIXED[of], items), offsets, validity=validity)


CASES = {"boolean": "Booleans", "int64": "Int64s", "timestamp": "Timestamps", "float64": "Float64s", "string": "Strings", "binary": "Binaries"}


def column_to(column: Column, data_type: DataType) -> Any:
    """A column that is given back."""
    kind, data = data_type.kind, column.values.tobytes()
    validity = None if column.validity is None else column.validity.tobytes()
    if kind == "float32-vector":
        values = calls.Values_Float32Vectors(calls.Vectors(data_type.width, data))
    elif kind == "sequence":
        if data_type.item == "string":
            items = calls.Items_Strings(calls.VarBytes(offsets(column.item_offsets), data))
        else:
            items = getattr(calls, f"Items_{CASES[data_type.item or '']}")(data)
        values = calls.Values_Sequences(calls.Sequences(offsets(column.offsets), items))
    elif kind in ("string", "binary"):
        values = getattr(calls, f"Values_{CASES[kind]}")(calls.VarBytes(offsets(column.offsets), data))
    else:
        values = getattr(calls, f"Values_{CASES[kind]}")(data)
    return calls.Column(values, validity)


def offsets(column: memoryview | None) -> bytes:
    assert column is not None
    return column.tobytes()
