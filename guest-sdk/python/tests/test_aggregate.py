"""Functions of aggregates, through the contract's states."""

from __future__ import annotations

import unittest
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from tandem_sdk import CallError, SignatureError, Timestamp, aggregate
from tandem_sdk.aggregate import aggregate_of
from tandem_sdk.state import decoded, encoded
from tandem_sdk.testing import value


@dataclass
class Payment:
    cents: int
    shop: str | None
    event_time: Timestamp


@dataclass
class Settings:
    large: int = 100


@aggregate
@dataclass
class Shops:
    """Shops in which the payments together were large."""

    cents: dict[str, int] = field(default_factory=dict)

    def add(self, event: Payment, settings: Settings) -> None:
        if event.shop is not None:
            self.cents[event.shop] = self.cents.get(event.shop, 0) + event.cents

    def merge(self, other: Shops, settings: Settings) -> None:
        for shop, cents in other.cents.items():
            self.cents[shop] = self.cents.get(shop, 0) + cents

    def finish(self, as_of: datetime, settings: Settings) -> int:
        assert as_of.tzinfo is timezone.utc
        return sum(cents >= settings.large for cents in self.cents.values())


@aggregate
@dataclass
class Last:
    cents: int = 0

    def add(self, event: Payment) -> None:
        if event.cents == 13:
            raise ValueError("unlucky")
        self.cents = event.cents

    def merge(self, other: Last) -> None:
        self.cents = other.cents

    def finish(self, as_of: Timestamp) -> int | None:
        return self.cents or None


EVENTS: dict[str, list[Any]] = {"cents": [60, 50, 90], "shop": ["baker", "baker", None], "event_time": list(map(Timestamp, (1, 2, 3)))}


class States(unittest.TestCase):
    def test_values_are_their_bytes(self) -> None:
        for one in (None, True, False, 0, -1, 2**70, 1.5, "é", b"\x00", (1, "a"), [None], {"b": 1, "a": [2]}, {3, 1}, frozenset({"x"})):
            self.assertEqual(decoded(encoded(one)), one)
            self.assertIs(type(decoded(encoded(one))), type(one))
        self.assertEqual(encoded({"b": 1, "a": 2}), encoded({"a": 2, "b": 1}))
        self.assertEqual(encoded({3, 1, 2}), encoded({2, 3, 1}))
        self.assertNotEqual(encoded(0.0), encoded(-0.0))
        for wrong in (b"", b"X", b"I\x01\x00\x00\x00", encoded([1]) + b"N", b"S\x01\x00\x00\x00\xff"):
            with self.assertRaises(CallError):
                decoded(wrong)
        with self.assertRaisesRegex(CallError, "not of object"):
            encoded(object())


class Aggregates(unittest.TestCase):
    def test_events_are_divided_and_give_the_same(self) -> None:
        self.assertEqual(value(Shops, EVENTS), 1)
        self.assertEqual(value(Shops, EVENTS, parameters={"large": 111}), 0)
        self.assertEqual(value(Shops, {name: [] for name in EVENTS}), 0)
        self.assertEqual(aggregate_of(Shops).doc, "Shops in which the payments together were large.")

    def test_what_depends_on_the_order_is_told(self) -> None:
        with self.assertRaisesRegex(CallError, "divided or ordered"):
            value(Last, EVENTS)

    def test_an_exception_is_the_call_s_with_its_line(self) -> None:
        with self.assertRaisesRegex(CallError, r"ValueError: unlucky \(test_aggregate.py, line \d+, in add\)"):
            value(Last, {**EVENTS, "cents": [13, 1, 2]})
        with self.assertRaisesRegex(CallError, "unknown parameter `small`"):
            value(Shops, EVENTS, parameters={"small": 1})
        with self.assertRaisesRegex(CallError, "has the inputs cents, shop, event_time"):
            value(Shops, {"cents": [1]})

    def test_classes_that_are_none(self) -> None:
        class Plain:
            pass

        @dataclass
        class Needs:
            cents: int

            def add(self, event: Payment) -> None: ...
            def merge(self, other: Any) -> None: ...
            def finish(self, as_of: Timestamp) -> int:
                return 0

        @dataclass
        class Half:
            cents: int = 0

            def add(self, event: Payment) -> None: ...

        @dataclass
        class Untyped:
            cents: int = 0

            def add(self, event) -> None: ...  # type: ignore[no-untyped-def]
            def merge(self, other: Any) -> None: ...
            def finish(self, as_of: Timestamp) -> int:
                return 0

        for wrong, message in (
            (Plain, "is not a dataclass"),
            (Needs, "cents has no default"),
            (Half, "has no method `merge`"),
            (Untyped, "of which type `event` is"),
        ):
            with self.assertRaisesRegex(SignatureError, message):
                aggregate(wrong)
        with self.assertRaisesRegex(SignatureError, "not marked with @aggregate"):
            value(Plain, {})


if __name__ == "__main__":
    unittest.main()
