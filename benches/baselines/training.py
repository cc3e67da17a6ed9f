"""A point-in-time join of labels and features without Tandem, Parquet to Parquet, by event time alone.

training.py TOOL LABELS OUT FEATURES... joins each file of features (user_id, event_time, a, b, c) to the labels (user_id, event_time, label): of each user
the newest row that is no later. It prints the processor time in seconds and the peak of its memory in bytes.
"""

import resource
import sys


def with_duckdb(labels, out, features):
    import duckdb

    joins, columns = "", ""
    for index, file in enumerate(features):
        joins += (
            f" asof left join read_parquet('{file}') f{index}"
            f" on l.user_id = f{index}.user_id and l.event_time >= f{index}.event_time"
        )
        columns += "".join(f", f{index}.{name} as {name}{index}" for name in "abc")
    # DuckDB does not keep the labels' order through a join: it is asked for.
    query = (
        f"select l.* exclude (file_row_number){columns} from read_parquet('{labels}', file_row_number = true) l{joins}"
        " order by l.file_row_number"
    )
    duckdb.connect().execute(f"copy ({query}) to '{out}' (format parquet, compression zstd)")


def with_polars(labels, out, features):
    import polars as pl

    joined = pl.scan_parquet(labels).with_row_index("label_row").sort("event_time")
    for index, file in enumerate(features):
        rows = pl.scan_parquet(file).sort("event_time").rename({name: f"{name}{index}" for name in "abc"})
        joined = joined.join_asof(rows, on="event_time", by="user_id", strategy="backward")
    joined.sort("label_row").drop("label_row").sink_parquet(out, compression="zstd")


def with_pandas(labels, out, features):
    import pandas as pd

    joined = pd.read_parquet(labels).reset_index(names="label_row").sort_values("event_time", kind="stable")
    for index, file in enumerate(features):
        rows = pd.read_parquet(file).sort_values("event_time", kind="stable")
        rows = rows.rename(columns={name: f"{name}{index}" for name in "abc"})
        joined = pd.merge_asof(joined, rows, on="event_time", by="user_id", direction="backward")
    joined.sort_values("label_row").drop(columns="label_row").to_parquet(out, compression="zstd", index=False)


def main():
    tool, labels, out, *features = sys.argv[1:]
    {"duckdb": with_duckdb, "polars": with_polars, "pandas": with_pandas}[tool](labels, out, features)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


main()
