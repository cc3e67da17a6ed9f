"""Sums over windows as of each event without Tandem, Parquet to Parquet.

windows.py TOOL EVENTS OUT WINDOWS... gives each event (user_id, event_time, amount) the sums of its user's amounts in (T - window, T], for windows such as
`6h` and `30d`, in the order of the rows. windows.py compare TANDEM OTHER fails where two such files differ by more than the order of addition explains.
"""

import sys


def with_duckdb(events, out, windows):
    import duckdb

    units = {"h": "hours", "d": "days"}
    # (T - w, T], with times in whole microseconds.
    sums = "".join(
        f", sum(amount) over (partition by user_id order by event_time range between"
        f" interval {w[:-1]} {units[w[-1]]} - interval 1 microsecond preceding and current row) as amount_sum_{w}"
        for w in windows
    )
    query = (
        f"select * exclude (file_row_number){sums} from read_parquet('{events}', file_row_number = true)"
        " order by file_row_number"
    )
    duckdb.connect().execute(f"copy ({query}) to '{out}' (format parquet, compression zstd)")


def with_polars(events, out, windows):
    import polars as pl

    rows = pl.scan_parquet(events).with_row_index("row").sort("user_id", "event_time")
    sums = [
        pl.col("amount").rolling_sum_by("event_time", window_size=w, closed="right").over("user_id").alias(f"amount_sum_{w}")
        for w in windows
    ]
    rows.with_columns(sums).sort("row").drop("row").sink_parquet(out, compression="zstd")


def compare(one, other):
    import duckdb

    columns = [
        row[0]
        for row in duckdb.sql(f"describe select * from '{one}'").fetchall()
        if row[0].startswith("amount_sum_")
    ]
    assert columns, "no sums"
    wrong = " or ".join(f"abs(a.{c} - b.{c}) > 1e-9 * greatest(1, abs(b.{c}))" for c in columns)
    query = (
        f"select count(*), count_if({wrong}) from read_parquet('{one}', file_row_number = true) a"
        f" join read_parquet('{other}', file_row_number = true) b using (file_row_number)"
    )
    rows, differing = duckdb.sql(query).fetchone()
    assert rows > 0 and differing == 0, f"{differing} of {rows} rows differ"


if sys.argv[1] == "compare":
    compare(*sys.argv[2:])
else:
    tool, events, out, *windows = sys.argv[1:]
    {"duckdb": with_duckdb, "polars": with_polars}[tool](events, out, windows)
