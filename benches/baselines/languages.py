"""The example of examples/languages without Tandem: its function in Python, row by row, and the same in pandas.

Called with a file of rows and what they become; prints times as JSON. The example and the SDK are on PYTHONPATH.
"""

import json
import re
import statistics
import struct
import sys
import time

import numpy as np
import pandas as pd
import transform

PRICE = r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?"
LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
NAMES = ["net", "is_large", "bucket", "title_length", "slug", "norm", "unit"]


def in_a_loop(rows):
    """A call for each row, as the function is written."""
    settings = transform.Settings()
    features = transform.features
    return [features(transform.OrderLine(*row), settings) for row in rows]


def in_pandas(frame, large=100.0):
    """All rows at once; a null is NaN or None, as pandas has it."""
    if not frame["price"].str.fullmatch(PRICE, flags=re.ASCII).all():
        raise ValueError("price: not a number")
    if (frame["quantity"] < 0).any():
        raise ValueError("quantity: must not be negative")
    net = frame["price"].astype("float64") * frame["quantity"].astype("float64") * (1.0 - frame["discount"].fillna(0.0))
    title = frame["title"]
    there = frame["embedding"].notna().to_numpy()
    vectors = np.zeros((len(frame), 4))
    vectors[there] = np.stack(frame["embedding"].to_numpy()[there]) if there.any() else 0.0
    squares = np.zeros(len(frame))
    for place in range(4):
        squares += vectors[:, place] * vectors[:, place]
    norm = np.sqrt(squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = (vectors / norm[:, None]).astype("float32")
    return pd.DataFrame(
        {
            "net": net,
            "is_large": net >= large,
            "bucket": frame["order_id"] % 1000,
            "title_length": title.str.len(),
            "slug": title.str.translate(LOWER).str.replace(r"[^a-z0-9]+", "-", regex=True).str.strip("-"),
            "norm": np.where(there, norm, np.nan),
            "unit": [values if is_there and length != 0.0 else None for values, is_there, length in zip(unit, there, norm)],
        }
    )


def time_of(call, seconds):
    """Median time of a call, in seconds."""
    call()
    start = time.perf_counter()
    call()
    calls = max(1, round(0.004 / max(time.perf_counter() - start, 1e-9)))
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times)


def bits(value):
    """A value as something that is equal only where its bits are."""
    if value is None or value is pd.NA or isinstance(value, float) and value != value:
        return None
    if isinstance(value, (list, tuple, np.ndarray)):
        return [struct.pack("<f", one) for one in value]
    return struct.pack("<d", value) if isinstance(value, (float, np.floating)) else value


def check(what, found, expected):
    for row, (found, expected) in enumerate(zip(found, expected, strict=True)):
        for name, value in zip(NAMES, found):
            if name in ("title_length", "bucket", "is_large") and value == value and value is not None:
                value = int(value)
            if bits(value) != bits(expected[name]):
                sys.exit(f"{what}: row {row}: {name} is {value}, and not {expected[name]}")


def main(file, count, seconds):
    with open(file) as text:
        samples = json.load(text)
    names = ["order_id", "price", "quantity", "discount", "title", "embedding"]
    given = [[row[name] for name in names] for row in samples["rows"]]
    for row in given:  # vectors are of 32 bits
        row[5] = None if row[5] is None else [float(value) for value in np.array(row[5], dtype="float32")]
    rows = [given[index % len(given)] for index in range(count)]

    def frame_of(rows):
        columns = dict(zip(names, zip(*rows)))
        vectors = [None if one is None else np.array(one) for one in columns.pop("embedding")]
        frame = pd.DataFrame({name: list(values) for name, values in columns.items()})
        return frame.assign(discount=frame["discount"].astype("float64"), embedding=pd.Series(vectors, dtype=object))

    check("Python", [[getattr(one, name) for name in NAMES] for one in in_a_loop(given)], samples["expected"])
    check("pandas", in_pandas(frame_of(given)).itertuples(index=False, name=None), samples["expected"])
    frame, one = frame_of(rows), frame_of(rows[:1])
    loop_one, loop = time_of(lambda: in_a_loop(rows[:1]), seconds), time_of(lambda: in_a_loop(rows), seconds)
    pandas_one, pandas = time_of(lambda: in_pandas(one), seconds), time_of(lambda: in_pandas(frame), seconds)
    found = {
        "versions": f"CPython {sys.version.split()[0]}, numpy {np.__version__}, pandas {pd.__version__}",
        "loop": {"one": loop_one, "rows": loop},
        "pandas": {"one": pandas_one, "rows": pandas},
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
