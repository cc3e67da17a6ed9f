"""A training set of real flights, against pandas and DuckDB: python validate.py

Every flight is a label: was it late? Its feature is the mean delay of all earlier departures of its airport. The set is made by `tandem training-set` of
what is registered; then the same question is asked of pandas, which adds up, and of DuckDB, which joins as of, over the same files. All values must be
equal, bit by bit: sums of minutes are whole numbers, and each mean is one division.

The program is `tandem`, or what the variable TANDEM names.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq

HERE = Path(__file__).parent
LATE_MINUTES = 15


def training_set(flights, folder):
    """The set for all flights, in their order."""
    labels, out = folder / "labels.parquet", folder / "train.parquet"
    table = flights[["flight_id", "origin", "departed_at"]].assign(late=flights.delay_minutes >= LATE_MINUTES)
    # The order of labels says nothing: they are shuffled, and come back as they are.
    table.sample(frac=1, random_state=1).to_parquet(labels, index=False)
    command = [os.environ.get("TANDEM", "tandem"), "training-set", "--labels", labels, "--time", "departed_at"]
    command += ["--features", "airport_delay", "--out", out, "--deny", "leakage"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    made = pd.read_parquet(out)
    assert made.flight_id.tolist() == pd.read_parquet(labels).flight_id.tolist(), "rows come in the labels' order"
    return made.sort_values("flight_id").reset_index(drop=True)


def with_pandas(flights):
    """Of each flight: sums over its airport, up to the minute before."""
    minutes = flights.groupby(["origin", "departed_at"], as_index=False).delay_minutes.agg(["sum", "count"])
    so_far = minutes.sort_values(["origin", "departed_at"]).groupby("origin")[["sum", "count"]].cumsum()
    before = minutes[["origin", "departed_at"]].join(so_far)
    before[["sum", "count"]] = before.groupby("origin")[["sum", "count"]].shift()
    joined = flights.merge(before, on=["origin", "departed_at"], how="left").sort_values("flight_id")
    return (joined["sum"] / joined["count"]).reset_index(drop=True), joined["count"].reset_index(drop=True)


def with_duckdb():
    """The newest sum that is earlier than the flight, by an as-of join."""
    return duckdb.sql(f"""
        with flights as (select * from read_parquet('{HERE}/data/flights/**/*.parquet', hive_partitioning = false)),
        minutes as (select origin, departed_at, sum(delay_minutes) as late, count(*) as departures from flights group by all),
        so_far as (
            select origin, departed_at as at_time, sum(late) over w as late, sum(departures) over w as departures
            from minutes window w as (partition by origin order by departed_at)
        )
        select f.flight_id, cast(s.late as double) / s.departures as mean_delay, cast(s.departures as double) as departures
        from flights f asof left join so_far s on f.origin = s.origin and f.departed_at > s.at_time
        order by f.flight_id""").df()


def same(name, made, expected):
    """Both have the same values, and none where the other has none."""
    made, expected = made.astype("float64"), expected.astype("float64")
    differ = (made != expected) & ~(made.isna() & expected.isna())
    assert not differ.any(), f"{name}: {differ.sum()} flights differ, the first {made[differ].iloc[0]} and {expected[differ].iloc[0]}"
    print(f"{name}: {len(made):,} flights, {made.isna().sum():,} without an earlier departure, all equal")


def main():
    flights = pq.read_table(HERE / "data/flights", partitioning=None).to_pandas().sort_values("flight_id").reset_index(drop=True)
    with tempfile.TemporaryDirectory() as folder:
        made = training_set(flights, Path(folder))
    assert (made.airport_delay__status == "PRESENT").equals(made.mean_delay.notna()), "no row, no value"
    mean, departures = with_pandas(flights)
    same("pandas, mean delay", made.mean_delay, mean)
    same("pandas, departures", made.departures, departures)
    joined = with_duckdb()
    same("DuckDB, mean delay", made.mean_delay, joined.mean_delay)
    same("DuckDB, departures", made.departures, joined.departures)
    # Is it worth anything? Of flights from airports that were late so far, more are late.
    known = made[made.departures >= 20]
    if known.mean_delay.nunique() < 4:
        return
    quarter = pd.qcut(known.mean_delay, 4, labels=["least", "less", "more", "most"])
    print("\nlate flights, by how late their airport was before:")
    for name, late in known.groupby(quarter, observed=True).late.mean().items():
        print(f"  {name:>5}  {late:.1%}")


main()
