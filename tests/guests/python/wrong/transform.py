"""Goes wrong in the ways in which Python does."""

import json
from dataclasses import dataclass

from tandem_sdk import RowError, transform


@dataclass
class Row:
    how: str


@dataclass
class Gives:
    y: int


@dataclass
class Settings:
    least: int = 0
    """The least y."""


def looked_up(how: str) -> int:
    return {"right": 7}[how]


@transform
def wrong(row: Row, settings: Settings) -> Gives:
    match row.how:
        case "refused":
            raise RowError("is refused", field="how")
        case "nothing":
            return None
        case "text":
            return Gives("7")
        case "large":
            return Gives(2**63)
        case "deep":
            json.loads("{")
        case "long":
            raise ValueError("é" * 2000)
        case "clock":
            import time

            return Gives(int(time.time()))
        case "endless":
            return wrong(row, settings)
    return Gives(max(looked_up(row.how), settings.least))
