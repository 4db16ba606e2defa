"""Runs other systems on the data of the benchmark, on one thread.

usage: peers.py file duckdb|polars FILE: prints the number of result rows
       peers.py columns duckdb|polars|numpy CASE FILE ROUNDS: prints the minimum seconds of processor time
"""

import os
import sys
import time


def with_duckdb(path):
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    if path.endswith("csv"):
        source = f"read_csv('{path}', header=true, columns={{ts: 'BIGINT', service: 'VARCHAR', latency: 'DOUBLE'}})"
    else:
        source = f"read_json('{path}', format='newline_delimited', columns={{ts: 'BIGINT', service: 'VARCHAR', latency: 'DOUBLE'}})"
    result = connection.execute(
        f"""select service, ts // 60000 as minute, count(*), sum(latency), avg(latency), min(latency), max(latency)
            from {source} group by 1, 2 order by 2, 1"""
    )
    return len(result.fetchall())


def with_polars(path):
    import polars

    schema = {"ts": polars.Int64, "service": polars.String, "latency": polars.Float64}
    if path.endswith("csv"):
        frame = polars.scan_csv(path, schema=schema)
    else:
        frame = polars.scan_ndjson(path, schema=schema)
    value = polars.col("latency")
    rows = (
        frame.group_by("service", (polars.col("ts") // 60_000).alias("minute"))
        .agg(value.count().alias("count"), value.sum().alias("sum"), value.mean().alias("avg"), value.min().alias("min"), value.max().alias("max"))
        .sort("minute", "service")
        .collect()
    )
    return rows.height


def columns_of(path):
    """Returns milliseconds, values and key ids from a file of the benchmark's `write_columns`."""
    import numpy

    count = os.path.getsize(path) // 20
    with open(path, "rb") as file:
        times = numpy.fromfile(file, "<f8", count).astype("i8")
        return times, numpy.fromfile(file, "<f8", count), numpy.fromfile(file, "<u4", count)


MOMENTS = "count(*), sum(v), avg(v), min(v), max(v), stddev(v)"
PERCENTILES = {
    "sketch": "approx_quantile(v, [0.5, 0.95, 0.99])",
    "exact": "quantile_cont(v, [0.5, 0.95, 0.99])",
}
GAPS_MS = {"session 30s": 30_000, "session 500ms": 500}


def duckdb_sessions(gap_ms):
    """Returns the query of sessions. Events more than the gap apart are in different sessions."""
    return f"""
        with marked as (select *, coalesce(t - lag(t) over (partition by k order by t) > {gap_ms}, true) as starts from data),
             numbered as (select *, sum(starts::int) over (partition by k order by t, starts desc rows unbounded preceding) as session from marked)
        select k, min(t) as first, max(t), count(*), sum(v), avg(v), min(v), max(v) from numbered group by k, session order by first, k"""


DUCKDB = {
    **{name: duckdb_sessions(gap_ms) for name, gap_ms in GAPS_MS.items()},
    "tumbling 1m, ids": f"select k, t // 60000 w, {MOMENTS} from data group by 1, 2 order by 2, 1",
    "tumbling 1m, text keys": f"select name, t // 60000 w, {MOMENTS} from data group by 1, 2 order by 2, 1",
    "p50,p95,p99 sketch": f"select k, t // 60000 w, {PERCENTILES['sketch']} from data group by 1, 2 order by 2, 1",
    "p50,p95,p99 exact": f"select k, t // 60000 w, {PERCENTILES['exact']} from data group by 1, 2 order by 2, 1",
    "1 M keys, 1h windows": f"select k, t // 3600000 w, {MOMENTS} from data group by 1, 2 order by 2, 1",
    "dedup exact, ttl 10m": "select distinct id from data",
    "dedup exact, of JSON": "select distinct id from data",
}


def duckdb_case(name, path):
    import duckdb

    times, values, keys = columns_of(path)
    frame = {"t": times, "v": values, "k": keys}
    connection = duckdb.connect(config={"threads": 1})
    connection.register("frame", frame)
    text = ", 'svc-' || lpad(k::varchar, 4, '0') as name" if "text" in name else ""
    text += ", 'event-' || lpad(k::varchar, 12, '0') as id" if "dedup" in name else ""
    connection.execute(f"create table data as select *{text} from frame")
    return lambda: connection.execute(DUCKDB[name]).fetchnumpy()


def key_names(frame):
    import polars

    return polars.lit("svc-") + frame["k"].cast(polars.String).str.zfill(4)


def polars_case(name, path):
    import polars

    times, values, keys = columns_of(path)
    frame = polars.DataFrame({"t": times, "v": values, "k": keys})
    if "text" in name:
        frame = frame.with_columns(name=key_names(frame))
    v, t = polars.col("v"), polars.col("t")
    moments = [v.count().alias("count"), v.sum().alias("sum"), v.mean().alias("avg"), v.min().alias("min"), v.max().alias("max"), v.std().alias("std")]

    def windows(key, size, aggregations):
        return lambda: frame.lazy().group_by(key, (t // size).alias("w")).agg(aggregations).sort("w", key).collect()

    if name.startswith("tumbling"):
        return windows("name" if "text" in name else "k", 60_000, moments)
    if name.startswith("1 M keys"):
        return windows("k", 3_600_000, moments)
    if name.startswith("p50"):
        return windows("k", 60_000, [v.quantile(share, "linear").alias(f"p{share}") for share in (0.5, 0.95, 0.99)])
    if name in GAPS_MS:
        return lambda: (
            frame.lazy()
            .sort("k", "t")
            .with_columns(session=(t.diff().over("k") > GAPS_MS[name]).fill_null(True).cum_sum().over("k"))
            .group_by("k", "session")
            .agg(t.min().alias("start"), t.max().alias("end"), *moments[:5])
            .sort("start", "k")
            .collect()
        )
    grid = polars.DataFrame({"t": range(int(times[0]) // 1000 * 1000, int(times[-1]), 1000)}, schema={"t": polars.Int64}).set_sorted("t")
    samples = frame.select(t, v).set_sorted("t")
    if name == "normalize forward":
        return lambda: grid.join_asof(samples, on="t")
    # The work includes the insertion of grid points among the samples and their extraction.
    samples = samples.with_columns(on_grid=False)
    grid = grid.select("t", v=polars.lit(None, polars.Float64), on_grid=True)
    return lambda: polars.concat([samples, grid]).sort("t").with_columns(v.interpolate_by("t")).filter("on_grid").select("t", "v")


def numpy_case(name, path):
    import numpy

    times, values, _ = columns_of(path)
    times = times.astype("f8")
    grid = numpy.arange(times[0] // 1000 * 1000, times[-1], 1000.0)
    return lambda: numpy.interp(grid, times, values)


def least_seconds(work, rounds):
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    os.environ["POLARS_MAX_THREADS"] = "1"
    kind, system, *rest = sys.argv[1:]
    if kind == "file":
        print({"duckdb": with_duckdb, "polars": with_polars}[system](*rest))
    else:
        case, file, rounds = rest
        prepare = {"duckdb": duckdb_case, "polars": polars_case, "numpy": numpy_case}[system]
        print(least_seconds(prepare(case, file), int(rounds)))
