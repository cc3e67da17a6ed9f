"""Answers of DuckDB and pandas to the questions of a training set: asof.py TOOL QUESTION LABELS ROWS OUT [SECONDS].

QUESTION is `at_or_before`, `before`, `ttl` (at or before, and no older than SECONDS) or `known` (DuckDB alone: at or before, and created by then, the
newest by event time, created time and sequence). OUT gets the features `amount` and `country` for each label, in their order.
"""

import sys

KEYS = ["user_id", "region"]


def with_duckdb(question, labels, rows, seconds):
    import duckdb

    label = f"read_parquet('{labels}', file_row_number = true) l"
    if question == "known":
        # An ASOF JOIN takes one inequality, and two times decide here: the greatest of all rows that were known.
        newest = "{ 'at': f.at, 'known_at': f.known_at, 'n': f.sequence }"
        query = f"""
            select arg_max({{ 'v': f.amount }}, {newest}).v as amount, arg_max({{ 'v': f.country }}, {newest}).v as country
            from {label} left join read_parquet('{rows}') f
                on l.user_id = f.user_id and l.region = f.region and f.at <= l.event_time and f.known_at <= l.event_time
            group by l.file_row_number order by l.file_row_number"""
        return duckdb.sql(query).to_arrow_table()
    than = ">" if question == "before" else ">="
    query = f"""
        select f.at as happened, f.amount, f.country, l.event_time, l.file_row_number as label from {label} asof left join read_parquet('{rows}') f
            on l.user_id = f.user_id and l.region = f.region and l.event_time {than} f.at"""
    if question == "ttl":
        old = f"event_time - happened > interval {seconds} second"
        columns = ", ".join(f"case when {old} then null else {name} end as {name}" for name in ("amount", "country"))
    else:
        columns = "amount, country"
    return duckdb.sql(f"select {columns} from ({query}) order by label").to_arrow_table()


def with_pandas(question, labels, rows, seconds):
    import pandas as pd
    import pyarrow as pa

    labels = pd.read_parquet(labels).reset_index(names="label_row").sort_values("event_time", kind="stable")
    rows = pd.read_parquet(rows).sort_values("at", kind="stable").dropna(subset=KEYS)
    # pandas takes a null key for a key like others; a label without one matches nothing.
    whole = labels.dropna(subset=KEYS)
    joined = pd.merge_asof(
        whole.astype({"user_id": "int64"}),
        rows.astype({"user_id": "int64"}),
        left_on="event_time",
        right_on="at",
        by=KEYS,
        direction="backward",
        allow_exact_matches=question != "before",
        tolerance=pd.Timedelta(seconds=int(seconds)) if question == "ttl" else None,
    )
    joined = labels[["label_row"]].merge(joined, on="label_row", how="left").sort_values("label_row")
    return pa.table({name: pa.array(joined[name], from_pandas=True) for name in ("amount", "country")})


def main():
    import pyarrow as pa
    import pyarrow.parquet as pq

    tool, question, labels, rows, out, *seconds = sys.argv[1:]
    answer = {"duckdb": with_duckdb, "pandas": with_pandas}[tool](question, labels, rows, *(seconds or [None]))
    answer = answer.cast(pa.schema([("amount", pa.float64()), ("country", pa.string())]))
    pq.write_table(answer, out)


main()
