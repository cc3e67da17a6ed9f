"""What an aggregate keeps of events, as bytes: always the same bytes for the same value.

A state is made of `None`, `bool`, `int`, `float`, `str`, `bytes`, and of `tuple`, `list`, `dict`, `set` and `frozenset` of these. Dicts and sets are written in
the order of their bytes, not in that in which they were filled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from .errors import CallError

NAN = struct.pack("<Q", 0x7FF8000000000000)


def encoded(value: Any) -> bytes:
    """The bytes of a value."""
    if value is None:
        return b"N"
    if value is True or value is False:
        return b"T" if value else b"F"
    if isinstance(value, int):
        number = int(value)
        return sized(b"I", number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True))
    if isinstance(value, float):
        return b"D" + (NAN if value != value else struct.pack("<d", value))
    if isinstance(value, str):
        return sized(b"S", value.encode())
    if isinstance(value, (bytes, bytearray)):
        return sized(b"B", bytes(value))
    if isinstance(value, tuple):
        return items(b"U", map(encoded, value))
    if isinstance(value, list):
        return items(b"L", map(encoded, value))
    if isinstance(value, frozenset):
        return items(b"Z", sorted(map(encoded, value)))
    if isinstance(value, set):
        return items(b"E", sorted(map(encoded, value)))
    if isinstance(value, dict):
        pairs = sorted((encoded(key), encoded(one)) for key, one in value.items())
        return items(b"M", (key + one for key, one in pairs))
    kinds = "None, bool, int, float, str, bytes, tuple, list, dict and set"
    raise CallError(f"a state is made of {kinds}, not of {type(value).__name__}")


def sized(tag: bytes, data: bytes) -> bytes:
    return tag + struct.pack("<I", len(data)) + data


def items(tag: bytes, parts: Iterable[bytes]) -> bytes:
    found = list(parts)
    return tag + struct.pack("<I", len(found)) + b"".join(found)


def decoded(data: bytes) -> Any:
    """The value of bytes that `encoded` gave; `CallError` for others."""
    try:
        value, end = read(data, 0)
    except (IndexError, KeyError, ValueError, TypeError, struct.error):
        end = -1
        value = None
    if end != len(data):
        raise CallError("a state is not what this function wrote")
    return value


def read(data: bytes, at: int) -> tuple[Any, int]:
    """A value, and where it ends."""
    tag = data[at : at + 1]
    at += 1
    if tag in (b"N", b"T", b"F"):
        return {b"N": None, b"T": True, b"F": False}[tag], at
    if tag == b"D":
        return struct.unpack_from("<d", data, at)[0], at + 8
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if tag in (b"I", b"S", b"B"):
        part = data[at : at + count]
        if len(part) != count:
            raise ValueError
        at += count
        if tag == b"I":
            return int.from_bytes(part, "little", signed=True), at
        return (part.decode() if tag == b"S" else part), at
    found = []
    for _ in range(2 * count if tag == b"M" else count):
        value, at = read(data, at)
        found.append(value)
    if tag == b"M":
        return dict(zip(found[::2], found[1::2])), at
    return {b"U": tuple, b"L": list, b"Z": frozenset, b"E": set}[tag](found), at
