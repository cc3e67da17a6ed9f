"""Gives what it takes, row by row."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from tandem_sdk import Name, Width, transform


@dataclass
class Row:
    """One of each type, and one that may be null."""

    b: bool
    i: int
    f: float
    at: datetime
    s: str
    d: bytes
    v: Annotated[list[float], Width(3)]
    p: list[int]
    q: list[float]
    t: list[str]
    bn: bool | None
    in_: Annotated[int | None, Name("in")]
    fn: float | None
    atn: datetime | None
    sn: str | None
    dn: bytes | None
    vn: Annotated[list[float], Width(3)] | None
    pn: list[int] | None
    qn: list[float] | None
    tn: list[str] | None


@transform
def same(row: Row) -> Row:
    return row
