"""The everyday form, through the contract's columns."""

from __future__ import annotations

import math
import unittest
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Any, NamedTuple, Optional

from tandem_sdk import MESSAGE_BYTES_MAX, CallError, Name, RowError, Timestamp, Width, transform
from tandem_sdk.testing import call, signature

NOON = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
LATEST = 2**63 - 1


@dataclass
class Everything:
    """One of each type."""

    boolean: bool
    int64: int
    float64: float
    timestamp: Timestamp
    instant: datetime
    string: str
    binary: bytes
    vector: Annotated[list[float], Width(3)]
    int64s: list[int]
    float64s: list[float]
    strings: list[str]


@dataclass
class Maybe:
    """One of each type, or none."""

    boolean: bool | None
    int64: Optional[int]
    float64: float | None
    timestamp: Timestamp | None
    instant: datetime | None
    string: str | None
    binary: bytes | None
    vector: Annotated[list[float], Width(3)] | None
    int64s: list[int] | None
    float64s: list[float] | None
    strings: list[str] | None


EVERYTHING: dict[str, list[Any]] = {
    "boolean": [True, False, True],
    "int64": [LATEST, -(2**63), 0],
    "float64": [0.1, math.inf, -0.0],
    "timestamp": [Timestamp(0), Timestamp(LATEST), Timestamp(-1)],
    "instant": [NOON, datetime(1, 1, 1, tzinfo=timezone.utc), datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc)],
    "string": ["", "Café 寿司 😀", "plain"],
    "binary": [b"\x00\xff", b"", b"x"],
    "vector": [[0.5, -0.25, 1e30], [0.0, -0.0, math.inf], [1.0, 2.0, 3.0]],
    "int64s": [[], [LATEST, -1], [1]],
    "float64s": [[0.1], [], [math.inf, -0.0]],
    "strings": [["", "é"], [], ["a", "b", "c"]],
}
EVERYTHING["vector"][0][2] = 1.0000000150474662e30  # the float32 next to it


@transform
def everything(row: Everything) -> Everything:
    return row


@transform
def maybe(row: Maybe) -> Maybe:
    return row


class Types(unittest.TestCase):
    def test_every_type_goes_in_and_out(self) -> None:
        results = call(everything, EVERYTHING)
        self.assertEqual(results.failures, [])
        self.assertEqual(results.columns, EVERYTHING)
        self.assertEqual(math.copysign(1, results.output("float64")[2]), -1.0)
        kinds = [str(given.data_type) for given in signature(everything).inputs]
        expected = "boolean int64 float64 timestamp timestamp string binary float32-vector(3) sequence(int64) sequence(float64) sequence(string)"
        self.assertEqual(kinds, expected.split())
        self.assertFalse(any(given.nullable for given in signature(everything).inputs))

    def test_nulls_are_none(self) -> None:
        inputs = {name: [None, *values, None] for name, values in EVERYTHING.items()}
        results = call(maybe, inputs)
        self.assertEqual(results.failures, [])
        self.assertEqual(results.columns, inputs)
        self.assertTrue(all(given.nullable for given in signature(maybe).outputs))

    def test_no_rows(self) -> None:
        nothing: dict[str, list[Any]] = {name: [] for name in EVERYTHING}
        self.assertEqual(call(everything, nothing).columns, nothing)

    def test_nan_is_a_value(self) -> None:
        (found,) = call(maybe, {name: [None if name != "float64" else math.nan] for name in EVERYTHING}).output("float64")
        self.assertTrue(math.isnan(found))


@dataclass
class Amount:
    """What is looked at."""

    amount: float
    """Amount of the purchase,
      in the account's currency.

    Never negative."""
    kind: Annotated[str, Name("type")]
    as_of: datetime


class Risk(NamedTuple):
    score: float
    """Higher is worse."""
    note: str | None


@dataclass
class Settings:
    limit: float
    """Highest amount that is looked at."""
    words: list[str] = field(default_factory=lambda: ["card"])
    edges: list[float] | None = None
    strict: bool = False
    holidays: list[datetime] | None = None
    code: int | None = None


@transform
def risk(row: Amount, settings: Settings) -> Risk:
    """How risky
    a purchase is."""
    if row.amount < 0:
        raise RowError("must not be negative", field="amount")
    if row.kind == "zero":
        return Risk(1 / (row.amount - row.amount), None)
    if row.kind == "deep":
        return Risk(float(row.kind), None)
    if row.kind == "nothing":
        return None  # type: ignore[return-value]
    if row.kind == "text":
        return Risk("high", None)  # type: ignore[arg-type]
    if row.kind == "long":
        raise ValueError("é" * 2000)
    return Risk(min(row.amount, settings.limit), settings.words[0])


def of_kinds(*kinds: str, amount: float = 1.0) -> dict[str, list[Any]]:
    return {"amount": [amount] * len(kinds), "type": list(kinds), "as_of": [NOON] * len(kinds)}


class Docs(unittest.TestCase):
    def test_texts_become_docs(self) -> None:
        found = signature(risk, {"limit": 1.0})
        self.assertEqual(found.doc, "How risky a purchase is.")
        self.assertEqual(found.inputs[0].doc, "Amount of the purchase, in the account's currency.\n\nNever negative.")
        self.assertEqual([given.name for given in found.inputs], ["amount", "type", "as_of"])
        self.assertEqual([(given.name, given.doc) for given in found.outputs], [("score", "Higher is worse."), ("note", "")])

    def test_it_stays_a_plain_function(self) -> None:
        self.assertEqual(risk(Amount(7.0, "card", NOON), Settings(limit=5.0)), Risk(5.0, "card"))


class Failing(unittest.TestCase):
    def test_a_row_fails_alone(self) -> None:
        results = call(risk, {"amount": [1.0, -1.0, 3.0], "type": ["a"] * 3, "as_of": [NOON] * 3}, {"limit": 10.0})
        self.assertEqual(results.failures, [(1, "amount: must not be negative")])
        self.assertEqual(results.output("score"), [1.0, None, 3.0])

    def test_an_exception_has_its_line(self) -> None:
        results = call(risk, of_kinds("zero", "deep", "nothing", "text"), {"limit": 10.0})
        first = risk.__code__.co_firstlineno
        self.assertEqual(
            results.failures,
            [
                (0, f"ZeroDivisionError: float division by zero (test_rows.py, line {first + 7}, in risk)"),
                (1, f"ValueError: could not convert string to float: 'deep' (test_rows.py, line {first + 9}, in risk)"),
                (2, f"risk (test_rows.py, line {first}) gives Risk, and it gave None: is a `return` missing?"),
                (3, "score: expected float, found 'high' of type str"),
            ],
        )

    def test_messages_are_bounded(self) -> None:
        ((_, message),) = call(risk, of_kinds("long"), {"limit": 10.0}).failures
        self.assertLessEqual(len(message.encode()), MESSAGE_BYTES_MAX)
        self.assertGreater(len(message.encode()), MESSAGE_BYTES_MAX - 8)
        self.assertTrue(message.startswith("ValueError: ééé") and message.endswith("é…"))

    def test_values_must_fit(self) -> None:
        @dataclass
        class Which:
            which: int

        @dataclass
        class Wrong:
            boolean: bool
            int64: int
            float64: float
            instant: datetime
            string: str
            vector: Annotated[list[float], Width(2)]
            items: list[int]

        right: list[Any] = [True, 1, 1.0, NOON, "a", [1.0, 2.0], [1]]
        wrong: list[list[Any]] = [
            [1, "1", None],
            [1.5, True, 2**63],
            ["1.0", True, 10**400],
            [NOON.replace(tzinfo=None), 5],
            [b"a", "\ud800"],
            [[1.0], "ab", [1.0, "x"]],
            ["ab", [1.5], [2**63], 7],
        ]
        cases = [(column, value) for column, values in enumerate(wrong) for value in values]

        @transform
        def fitting(row: Which) -> Wrong:
            column, value = cases[row.which]
            return Wrong(*[*right[:column], value, *right[column + 1 :]])

        results = call(fitting, {"which": list(range(len(cases)))})
        self.assertEqual([row for row, _ in results.failures], list(range(len(cases))))
        messages = [message for _, message in results.failures]
        self.assertEqual(messages[0], "boolean: expected bool, found 1 of type int")
        self.assertIn("int64: expected int, found 1.5 of type float", messages)
        self.assertIn("string: '\\ud800' is not Unicode text: a surrogate stands alone in it", messages)
        self.assertIn("vector: expected 2 values, found 1", messages)
        self.assertIn("items: item 0: expected int, found 1.5 of type float", messages)
        self.assertIn("items: item 0: 9223372036854775808 does not fit into 64 bits", messages)
        self.assertTrue(any(message.startswith("instant: datetime.datetime(2024, 2, 29, 12, 0) has no time zone") for message in messages))

    def test_an_int_is_a_float_too(self) -> None:
        @dataclass
        class One:
            value: float

        @transform
        def one(row: One) -> One:
            return One(1)

        self.assertEqual(call(one, {"value": [0.5]}).output("value"), [1.0])

    def test_an_instant_beyond_datetime_fails_its_row(self) -> None:
        @dataclass
        class When:
            at: datetime

        @dataclass
        class Same:
            at: datetime

        @transform
        def when(row: When) -> Same:
            return Same(row.at)

        from tandem_sdk.columns import Column
        from tandem_sdk.decorator import transform_of
        from array import array

        outcome = transform_of(when).apply([], 2, [Column(memoryview(array("q", [0, LATEST])))])
        ((row, message),) = outcome.failures
        self.assertEqual(row, 1)
        self.assertTrue(message.startswith(f"at: {LATEST} microseconds since 1970 lie beyond the years 1 to 9999"), message)

    def test_what_is_used_up_fails_the_call(self) -> None:
        @dataclass
        class One:
            value: float

        @transform
        def greedy(row: One) -> One:
            raise MemoryError

        with self.assertRaises(MemoryError):
            call(greedy, {"value": [1.0]})


class Parameters(unittest.TestCase):
    def refusal(self, parameters: dict[str, Any]) -> str:
        with self.assertRaises(CallError) as raised:
            signature(risk, parameters)
        return str(raised.exception)

    def test_defaults_and_conversions(self) -> None:
        results = call(risk, of_kinds("a"), {"limit": 0, "words": ["other"], "edges": [1, 2], "holidays": [NOON], "strict": True, "code": 7})
        self.assertEqual((results.output("score"), results.output("note")), ([0.0], ["other"]))
        self.assertEqual(call(risk, of_kinds("a"), {"limit": 5.0}).output("note"), ["card"])
        self.assertEqual(call(risk, of_kinds("a"), {"limit": 5.0, "edges": []}).failures, [])

    def test_wrong_ones_are_named(self) -> None:
        names = "limit, words, edges, strict, holidays, code"
        self.assertEqual(self.refusal({"limit": 1.0, "limmit": 1}), f"unknown parameter `limmit`: the parameters are {names}")
        self.assertEqual(
            self.refusal({}),
            "parameter `limit`: expected a float64 (or an int64 that is one exactly), it is missing (Highest amount that is looked at.)",
        )
        self.assertEqual(
            self.refusal({"limit": 2**53 + 1}),
            "parameter `limit`: expected a float64 (or an int64 that is one exactly), given the int64 9007199254740993 "
            "(Highest amount that is looked at.)",
        )
        self.assertEqual(self.refusal({"limit": 1.0, "words": "card"}), 'parameter `words`: expected a list of texts, given the text "card"')
        self.assertEqual(self.refusal({"limit": 1.0, "strict": 1}), "parameter `strict`: expected a boolean, given the int64 1")
        self.assertEqual(self.refusal({"limit": 1.0, "code": [1.5]}), "parameter `code`: expected an int64, given a list of 1 float64")
        with self.assertRaisesRegex(CallError, "^unknown parameter `a`: the transform has no parameters$"):
            signature(everything, {"a": 1})


if __name__ == "__main__":
    unittest.main()
