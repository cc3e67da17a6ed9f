"""Mistakes in types and names, told where the function is decorated; instants."""

from __future__ import annotations

import doctest
import unittest
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import tandem_sdk
import tandem_sdk.errors
import tandem_sdk.time
from tandem_sdk import Columns, Name, RowError, SignatureError, Timestamp, Width, transform
from tandem_sdk.decorator import transform_in, transform_of


@dataclass
class Good:
    value: float


class Mistakes(unittest.TestCase):
    def refused(self, annotation: Any, role: str = "input", name: str = "value") -> str:
        row: type = dataclass(type("Row", (), {"__annotations__": {name: annotation}, "__module__": __name__}))

        def function(row: Any) -> Any:
            return row

        function.__annotations__ = {"row": row, "return": Good} if role == "input" else {"row": Good, "return": row}
        with self.assertRaises(SignatureError) as raised:
            transform(function)
        return str(raised.exception)

    def test_types_that_are_no_columns(self) -> None:
        for annotation, shown in [
            (complex, "complex"),
            (list, "list"),
            (dict[str, int], "dict[str, int]"),
            (list[list[int]], "list[list[int]]"),
            (int | str, "int | str"),
            (list[float | None], "list[float | None]"),
            (Annotated[list[int], Width(3)], "Annotated[list[int], Width(values=3)]"),
            (Annotated[float, Width(3)], "Annotated[float, Width(values=3)]"),
        ]:
            message = self.refused(annotation)
            self.assertTrue(message.startswith(f"Row.value: `{shown}` is not the type of a column; it may be bool, int, "), message)

    def test_names_that_no_column_has(self) -> None:
        self.assertIn("`Value` cannot name a column", self.refused(float, name="Value"))
        self.assertIn("`größe` cannot name a column", self.refused(float, name="größe"))
        self.assertIn("an output cannot be called `event_time`", self.refused(int, "output", "event_time"))
        self.assertIn("the input `as_of` is a `datetime`", self.refused(datetime | None, name="as_of"))
        self.assertIn("the input `as_of` is a `datetime`", self.refused(int, name="as_of"))
        self.assertIn("`a b` cannot name a column", self.refused(Annotated[float, Name("a b")]))

    def test_rows_that_are_none(self) -> None:
        @dataclass
        class Empty:
            pass

        @dataclass(kw_only=True)
        class ByName:
            value: float

        @dataclass
        class NotGiven:
            value: float = field(init=False)

        def taking(row: Any, output: Any = Good) -> str:
            def function(row: Any) -> Any:
                return row

            function.__annotations__ = {"row": row, "return": output}
            with self.assertRaises(SignatureError) as raised:
                transform(function)
            return str(raised.exception)

        self.assertEqual(taking(float), "the input is `float`, which is neither a dataclass nor a NamedTuple")
        self.assertTrue(taking(Good, Empty).endswith("has no field: a transform gives one feature at least"))
        self.assertTrue(taking(ByName).endswith("rows are made by position, so no field may be kw_only"))
        self.assertTrue(taking(NotGiven).endswith("every field is given a value; init=False forbids it"))
        self.assertTrue(taking(Columns[Good], Good).endswith("it returns Columns[Features] or tuple[Columns[Features], FailedRows]"))
        self.assertIn("gives columns and takes a row", taking(Good, Columns[Good]))

    def test_functions_that_are_no_transforms(self) -> None:
        def none() -> Good:
            return Good(1.0)

        def many(row: Good, *others: Good) -> Good:
            return row

        async def later(row: Good) -> Good:
            return row

        def unsaid(row) -> Good:  # type: ignore[no-untyped-def]
            return Good(1.0)

        def unreturned(row: Good):  # type: ignore[no-untyped-def]
            return row

        def settings(row: Good, settings: int) -> Good:
            return row

        def gone(row: Gone) -> Good:  # type: ignore[name-defined]  # noqa: F821
            return Good(1.0)

        for function, message in [
            (none, "takes a row, and its parameters where it has some"),
            (many, "takes a row, and its parameters where it has some"),
            (later, "is a generator or async"),
            (unsaid, "does not say of which type `row` is"),
            (unreturned, "does not say of which type what it returns is"),
            (settings, "the parameters are `int`, which is no dataclass"),
            (gone, "name 'Gone' is not defined"),
            (print, "stands above a plain function"),
        ]:
            with self.assertRaisesRegex(SignatureError, message):
                transform(function)  # type: ignore[type-var]

    def test_a_module_has_exactly_one(self) -> None:
        module = ModuleType("shop")
        with self.assertRaisesRegex(SignatureError, "the module `shop` has no function marked with @transform"):
            transform_in(module)

        @transform
        def one(row: Good) -> Good:
            return row

        @transform
        def two(row: Good) -> Good:
            return row

        vars(module).update(one=one, same=one)
        self.assertIs(transform_in(module), transform_of(one))
        vars(module).update(two=two)
        with self.assertRaisesRegex(SignatureError, "2 functions marked with @transform"):
            transform_in(module)
        with self.assertRaisesRegex(SignatureError, "is not marked with @transform"):
            transform_of(len)

    def test_rows_may_be_named_tuples(self) -> None:
        class Pair(NamedTuple):
            a: int
            b: str

        @transform
        def pair(row: Pair) -> Pair:
            return row

        self.assertEqual([given.name for given in transform_of(pair).inputs], ["a", "b"])


class Instants(unittest.TestCase):
    def test_before_1970_it_rounds_towards_the_past(self) -> None:
        instant = Timestamp(-1)
        self.assertEqual((instant.seconds, instant.days, instant.hour_of_day, instant.second_of_day), (-1, -1, 23, 86_399))
        self.assertEqual(instant.day_of_week, 3)
        self.assertEqual(instant.seconds_since(0), -1)
        self.assertEqual(Timestamp(86_400_000_000).days_since(1), 0)
        self.assertEqual(instant.datetime(), datetime(1969, 12, 31, 23, 59, 59, 999999, timezone.utc))

    def test_zones_are_instants(self) -> None:
        zone = timezone(timedelta(hours=2))
        self.assertEqual(Timestamp.from_datetime(datetime(1970, 1, 1, 2, tzinfo=zone)), 0)
        self.assertEqual(repr(Timestamp(5)), "Timestamp(5)")
        with self.assertRaisesRegex(ValueError, "has no time zone"):
            Timestamp.from_datetime(datetime(1970, 1, 1))
        with self.assertRaises(OverflowError):
            Timestamp(2**63 - 1).datetime()


class Examples(unittest.TestCase):
    def test_the_examples_in_the_docs(self) -> None:
        for module in (tandem_sdk, tandem_sdk.errors, tandem_sdk.time):
            found = doctest.testmod(module)
            self.assertGreater(found.attempted, 0, module.__name__)
            self.assertEqual(found.failed, 0, module.__name__)

    def test_errors_name_the_input(self) -> None:
        self.assertEqual(str(RowError("too old")), "too old")
        self.assertEqual(RowError("too old", field="age").field, "age")


if __name__ == "__main__":
    unittest.main()
