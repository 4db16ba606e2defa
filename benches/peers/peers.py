"""Other systems on the same file, on one thread: prints the number of result rows.

usage: peers.py duckdb|polars FILE
"""

import sys


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


if __name__ == "__main__":
    system, file = sys.argv[1:]
    if system == "polars":
        import os

        os.environ["POLARS_MAX_THREADS"] = "1"
    print({"duckdb": with_duckdb, "polars": with_polars}[system](file))
