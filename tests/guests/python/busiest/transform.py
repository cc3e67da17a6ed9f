"""The aggregate of examples/bursts, in Python. `cheat` makes it add up floats."""

from __future__ import annotations

from dataclasses import dataclass, field

from tandem_sdk import Timestamp, aggregate


@dataclass
class Payment:
    cents: int
    """What was paid, in cents."""
    shop: str | None
    event_time: Timestamp


@dataclass
class Settings:
    minutes: int
    cheat: bool = False


@aggregate
@dataclass
class Busiest:
    """The most that was paid within one stretch, in euros."""

    stretches: dict[int, int] = field(default_factory=dict)
    euros: float = 0.0

    def add(self, event: Payment, settings: Settings) -> None:
        stretch = event.event_time // (settings.minutes * 60_000_000)
        self.stretches[stretch] = self.stretches.get(stretch, 0) + event.cents
        if event.shop == "cursed":
            raise ValueError("the shop is cursed")
        if settings.cheat:
            self.euros += event.cents / 7

    def merge(self, other: Busiest, settings: Settings) -> None:
        for stretch, cents in other.stretches.items():
            self.stretches[stretch] = self.stretches.get(stretch, 0) + cents
        self.euros += other.euros

    def finish(self, as_of: Timestamp, settings: Settings) -> float | None:
        return max(self.stretches.values()) / 100 if self.stretches else None
