"""Features of a line of an order, in Python. What it computes is written down in the README beside this folder."""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from tandem_sdk import RowError, Width, transform

Embedding = Annotated[list[float], Width(4)]

# re.ASCII: otherwise \d has the digits of all scripts. \Z: `$` would let a line feed pass.
PRICE = re.compile(r"-?\d{1,12}(\.\d{1,6})?\Z", re.ASCII)
WORD = re.compile(r"[a-z0-9]+")
UPPER_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass
class OrderLine:
    """A line of an order."""

    order_id: int
    """Number of the order."""
    price: str
    """Price of one piece, as text."""
    quantity: int
    """Pieces."""
    discount: float | None
    """Share that is taken off; null where there is none."""
    title: str | None
    """Title of the article."""
    embedding: Embedding | None
    """Embedding of the article."""


@dataclass
class Features:
    """Its features."""

    net: float
    """What is to be paid."""
    is_large: bool
    """Whether that is much."""
    bucket: int
    """Order number modulo 1000."""
    title_length: int | None
    """Characters of the title."""
    slug: str | None
    """The title in ASCII letters, digits and dashes."""
    norm: float | None
    """Length of the embedding."""
    unit: Embedding | None
    """The embedding with length 1; null where it has none."""


@dataclass
class Settings:
    """What a view's definition may set."""

    large: float = 100.0
    """What is to be paid from which on it is much."""


@transform
def features(row: OrderLine, settings: Settings) -> Features:
    """Features of a line of an order."""
    if not PRICE.match(row.price):
        raise RowError("not a number", field="price")
    if row.quantity < 0:
        raise RowError("must not be negative", field="quantity")
    discount = 0.0 if row.discount is None else row.discount
    net = float(row.price) * float(row.quantity) * (1.0 - discount)
    length = None if row.embedding is None else norm(row.embedding)
    return Features(
        net=net,
        is_large=net >= settings.large,
        bucket=row.order_id % 1000,
        title_length=None if row.title is None else len(row.title),
        slug=None if row.title is None else slug(row.title),
        norm=length,
        unit=[value / length for value in row.embedding] if row.embedding and length else None,
    )


def slug(title: str) -> str:
    return "-".join(WORD.findall(title.translate(UPPER_TO_LOWER)))


def norm(vector: list[float]) -> float:
    """Squares are added one after another: sum() would compensate the rounding."""
    squares = 0.0
    for value in vector:
        squares += value * value
    return math.sqrt(squares)
