"""Gives what it takes, column by column."""

from dataclasses import dataclass
from typing import Annotated

from tandem_sdk import Columns, Name, Timestamp, Width, transform


@dataclass
class Row:
    """One of each type, and one that may be null."""

    b: bool
    i: int
    f: float
    at: Timestamp
    s: str
    d: bytes
    v: Annotated[list[float], Width(3)]
    p: list[int]
    q: list[float]
    t: list[str]
    bn: bool | None
    in_: Annotated[int | None, Name("in")]
    fn: float | None
    atn: Timestamp | None
    sn: str | None
    dn: bytes | None
    vn: Annotated[list[float], Width(3)] | None
    pn: list[int] | None
    qn: list[float] | None
    tn: list[str] | None


@transform
def same(input: Columns[Row]) -> Columns[Row]:
    given = {name: getattr(input, name) for name in Row.__dataclass_fields__}
    for name in ("at", "atn"):
        # A list of instants has its own type; a buffer of microseconds is taken as it is.
        given[name] = input.at if name == "at" else [None if at is None else Timestamp(at) for at in input.atn]
    return Columns(Row, **given)
