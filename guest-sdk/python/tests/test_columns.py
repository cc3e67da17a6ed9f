"""The columnar form."""

from __future__ import annotations

import unittest
from array import array
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from tandem_sdk import CallError, Columns, FailedRows, Nullable, RowError, Timestamp, Width, transform
from tandem_sdk.testing import call, signature


@dataclass
class Spending:
    amount: float
    limit: float
    discount: float | None
    merchant: str


@dataclass
class Features:
    usage: float
    net: float | None
    merchant: str


@transform
def features(input: Columns[Spending]) -> tuple[Columns[Features], FailedRows]:
    failed = FailedRows()
    for row, limit in enumerate(input.limit):
        if limit < 0:
            failed.add(row, RowError("must not be negative", field="limit"))
    net = array("d", (amount - discount for amount, discount in zip(input.amount, input.discount.values)))
    usage = [amount / (limit + 1.0) if limit >= 0 else 0.0 for amount, limit in zip(input.amount, input.limit)]
    merchant = [merchant.lower() for merchant in input.merchant]
    return Columns(Features, usage=usage, net=Nullable(net, input.discount.validity), merchant=merchant), failed


SPENDINGS: dict[str, list[Any]] = {
    "amount": [50.0, 20.0, 0.5],
    "limit": [99.0, -1.0, 1.0],
    "discount": [5.0, None, -0.0],
    "merchant": ["ÇA", "Acme", ""],
}


@dataclass
class Everything:
    boolean: bool
    int64: int
    float64: float
    timestamp: Timestamp
    instant: datetime
    string: str
    binary: bytes
    vector: Annotated[list[float], Width(2)]
    int64s: list[int]
    float64s: list[float]
    strings: list[str]


@transform
def everything(input: Columns[Everything]) -> Columns[Everything]:
    instants = [Timestamp(at).datetime() for at in input.instant]
    return Columns(
        Everything,
        boolean=input.boolean,
        int64=input.int64,
        float64=input.float64,
        timestamp=input.timestamp,
        instant=instants,
        string=input.string,
        binary=input.binary,
        vector=input.vector,
        int64s=input.int64s,
        float64s=input.float64s,
        strings=input.strings,
    )


class Columnar(unittest.TestCase):
    def test_columns_in_columns_out(self) -> None:
        results = call(features, SPENDINGS)
        self.assertEqual(results.output("usage"), [0.5, None, 0.25])
        self.assertEqual(results.output("net"), [45.0, None, 0.5])
        self.assertEqual(results.output("merchant"), ["ça", None, ""])
        self.assertEqual(results.failures, [(1, "limit: must not be negative")])
        self.assertEqual([field.nullable for field in signature(features).outputs], [False, True, False])

    def test_every_type_is_a_view_of_its_buffer(self) -> None:
        from test_rows import EVERYTHING

        inputs = {**EVERYTHING, "vector": [[1.0, 2.0], [3.0, 4.0], [-0.5, 0.0]]}
        results = call(everything, inputs)
        self.assertEqual(results.columns, inputs)

    def test_views(self) -> None:
        seen: list[Any] = []

        @dataclass
        class Views:
            text: str
            maybe: int | None
            vector: Annotated[list[float], Width(2)]
            items: list[str]

        @dataclass
        class Nothing:
            count: int

        @transform
        def views(input: Columns[Views]) -> Columns[Nothing]:
            seen.append((input.text[1], input.text[-1], input.text[0:2], len(input.text), list(input.text)))
            seen.append((input.maybe[0], input.maybe[1], list(input.maybe), list(input.maybe.values), input.maybe.validity))
            seen.append((input.vector[1].tolist(), input.vector.values.format, input.items[0], len(input.items)))
            with self.assertRaises(IndexError):
                input.text[2]
            with self.assertRaisesRegex(AttributeError, "there is no column `txt` of "):
                input.txt
            return Columns(Nothing, count=input.maybe.values)

        found = call(views, {"text": ["é", "b"], "maybe": [None, 7], "vector": [[1, 2], [3, 4]], "items": [["a", "ü"], []]})
        self.assertEqual(found.output("count"), [0, 7])
        self.assertEqual(seen[0], ("b", "b", ["é", "b"], 2, ["é", "b"]))
        self.assertEqual(seen[1], (None, 7, [None, 7], [0, 7], [False, True]))
        self.assertEqual(seen[2], ([3.0, 4.0], "f", ["a", "ü"], 2))

    def test_a_null_lies_on_zero(self) -> None:
        from tandem_sdk.decorator import transform_of
        from tandem_sdk.columns import column_of, Failures

        marked = transform_of(features)
        columns = [column_of(SPENDINGS[field.name], field, Failures()) for field in marked.inputs]
        net = marked.apply([], 3, columns).columns[1]
        self.assertEqual((net.values.tolist(), net.validity), ([45.0, 0.0, 0.5], b"\x05"))

    def refusal(self, **columns: Any) -> str:
        @dataclass
        class One:
            value: float

        @dataclass
        class Two:
            a: float
            b: bool

        @transform
        def two(input: Columns[One]) -> Columns[Two]:
            return Columns(Two, **columns) if columns else None  # type: ignore[return-value]

        with self.assertRaises(CallError) as raised:
            call(two, {"value": [1.0, 2.0]})
        return str(raised.exception)

    def test_wrong_columns_are_told(self) -> None:
        self.assertIn("gives Columns[", self.refusal())
        self.assertEqual(self.refusal(a=[1.0, 2.0]), "two gave the columns a, and not a, b")
        self.assertEqual(self.refusal(a=[1.0], b=[True, False]), "output `a` has 1 rows, and the call has 2 rows")
        self.assertEqual(
            self.refusal(a=array("q", [1, 2]), b=[True, False]),
            "output `a` is a buffer of `q`, and float64 needs one of `d`, or a list",
        )
        self.assertEqual(
            self.refusal(a=[1.0, 2.0], b=b"\x01\x02"), "output `b` is a buffer of booleans with other bytes than 0 and 1"
        )
        self.assertEqual(
            self.refusal(a=Nullable([1.0, 2.0], [True, False]), b=[True, True]), "output `a` has nulls, and it is not nullable"
        )
        self.assertRegex(self.refusal(a=3, b=[True, True]), r"^TypeError: 'int' object is not iterable \(test_columns.py, line \d+, in two\)$")

    def test_an_exception_fails_the_call_with_its_line(self) -> None:
        @dataclass
        class One:
            value: float

        @transform
        def broken(input: Columns[One]) -> tuple[Columns[One], FailedRows]:
            failed = FailedRows()
            failed.add(9, "beyond")
            if input.value[0] == 0.0:
                raise RowError("zero", field="value")
            if input.value[0] == 1.0:
                return Columns(One, value=input.value), failed
            return Columns(One, value=[1 / 0]), failed

        for value, message in [
            (0.0, r"^value: zero$"),
            (1.0, r"^the transform reports row 9 as failed, but the call has 1 rows$"),
            (2.0, r"^ZeroDivisionError: .*division by zero \(test_columns.py, line \d+, in broken\)$"),
        ]:
            with self.assertRaisesRegex(CallError, message):
                call(broken, {"value": [value]})


if __name__ == "__main__":
    unittest.main()
