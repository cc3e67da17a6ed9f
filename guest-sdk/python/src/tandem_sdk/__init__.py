"""Write a feature once, as a plain Python function; run it offline and online.

A *transform* computes features from the columns of rows. Its author writes a function and two dataclasses; `tandem build` makes a
WebAssembly component of it. The Tandem runtime runs that one component in batch, over historical Parquet, and for a request, so the two
cannot disagree. Names, types and docs are read from the code: they are written once.

>>> from dataclasses import dataclass
>>> from tandem_sdk import RowError, transform
>>> @dataclass
... class Purchase:
...     amount: float
...     merchant: str | None
>>> @dataclass
... class Features:
...     is_large: bool
...     merchant_length: int | None
>>> @transform
... def features(row: Purchase) -> Features:
...     if row.amount < 0:
...         raise RowError("must not be negative", field="amount")
...     length = None if row.merchant is None else len(row.merchant)
...     return Features(is_large=row.amount >= 500, merchant_length=length)
>>> features(Purchase(749.9, "Café"))  # it stays a plain function
Features(is_large=True, merchant_length=4)
"""

from .aggregate import aggregate
from .decorator import transform
from .errors import MESSAGE_BYTES_MAX, CallError, RowError, SignatureError
from .time import Timestamp
from .types import Name, Width
from .views import Binaries, Columns, FailedRows, Nullable, Sequences, Strings, Vectors

__all__ = [
    "MESSAGE_BYTES_MAX",
    "Binaries",
    "CallError",
    "Columns",
    "FailedRows",
    "Name",
    "Nullable",
    "RowError",
    "Sequences",
    "SignatureError",
    "Strings",
    "Timestamp",
    "Vectors",
    "Width",
    "aggregate",
    "transform",
]
