"""Instants: microseconds since 1970-01-01T00:00:00Z, and Python's `datetime`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)


class Timestamp(int):
    """An instant: microseconds since 1970-01-01T00:00:00Z.

    It is an `int`, made without cost, and covers the whole range of the contract's type; a `datetime` covers the years 1 to 9999. There is no
    `now`: the instant for which a value is asked is the input `as_of`. Everything rounds towards the past, also before 1970.

    >>> Timestamp.from_datetime(datetime(2024, 2, 29, 12, tzinfo=timezone.utc)).hour_of_day
    12
    """

    __slots__ = ()

    @classmethod
    def from_datetime(cls, instant: datetime) -> Timestamp:
        """The same instant. A `datetime` without a time zone is none: `ValueError`."""
        return cls(micros(instant))

    def datetime(self) -> datetime:
        """The same instant in UTC. Beyond the years 1 to 9999: `OverflowError`."""
        return EPOCH + timedelta(microseconds=self)

    @property
    def seconds(self) -> int:
        """Whole seconds since 1970."""
        return self // 1_000_000

    @property
    def days(self) -> int:
        """Whole days since 1970-01-01."""
        return self // 86_400_000_000

    @property
    def second_of_day(self) -> int:
        """Seconds since midnight (UTC), 0 to 86,399."""
        return self % 86_400_000_000 // 1_000_000

    @property
    def hour_of_day(self) -> int:
        """Hour of the day (UTC), 0 to 23."""
        return self % 86_400_000_000 // 3_600_000_000

    @property
    def day_of_week(self) -> int:
        """Day of the week (UTC) as ISO 8601 counts: 1 is Monday, 7 is Sunday."""
        return (self // 86_400_000_000 + 3) % 7 + 1  # 1970-01-01 was a Thursday

    def seconds_since(self, earlier: int) -> int:
        """Whole seconds from `earlier` to this instant, rounded down."""
        return (self - earlier) // 1_000_000

    def days_since(self, earlier: int) -> int:
        """Whole days of 86,400 seconds from `earlier` to this instant, rounded down."""
        return (self - earlier) // 86_400_000_000

    def __repr__(self) -> str:
        return f"Timestamp({int(self)})"


def micros(instant: datetime) -> int:
    """Microseconds since 1970. A `datetime` without a time zone is no instant: `ValueError`."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone: which instant it is, is not known; write tzinfo=timezone.utc")
    return (instant - EPOCH) // MICROSECOND
