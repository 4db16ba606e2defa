#!/usr/bin/env python3
"""Moving averages, rolling aggregations and z-scores of a real series, by pandas and numpy.

Written to statistics.json beside this file; core/tests/it/statistics/reference.rs compares. It needs pandas (made with pandas 3.1 and numpy 2.4):
python3 tests/vectors/reference/statistics.py
"""

import csv
import json
import pathlib
from datetime import datetime, timezone

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).parent
WINDOW = 20


def mad(values):
    """Returns the MAD, scaled to the standard deviation of normally distributed values, as in scipy."""
    return np.nanmedian(np.abs(values - np.nanmedian(values))) / 0.6744897501960817


def main():
    with open(HERE.parent.parent / "data/nab/ec2_cpu_utilization_5f5533.csv") as file:
        rows = list(csv.DictReader(file))[:300]
    times = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=timezone.utc) for row in rows]
    # Every seventh row is omitted, so that the steps are uneven.
    kept = [at for at in range(len(rows)) if at % 7 != 3]
    series = pd.Series([float(rows[at]["value"]) for at in kept])
    stamps = pd.to_datetime([times[at] for at in kept])
    rolling = series.rolling(WINDOW, min_periods=1)
    expanding = series.expanding()
    before = series.shift(1).rolling(WINDOW, min_periods=2)
    columns = {
        "span": series.ewm(span=10, adjust=False).mean(),
        "half_life": series.ewm(halflife=4, adjust=False).mean(),
        "timed": series.ewm(halflife="15min", times=stamps, adjust=False).mean(),
        "avg": rolling.mean(),
        "stddev": rolling.std(),
        "variance_pop": rolling.var(ddof=0),
        "min": rolling.min(),
        "max": rolling.max(),
        "p95": rolling.quantile(0.95),
        "p50": rolling.median(),
        "avg_all": expanding.mean(),
        "stddev_all": expanding.std(),
        "zscore": (series - expanding.mean().shift(1)) / expanding.std().shift(1),
        "zscore_window": (series - before.mean()) / before.std(),
        "zscore_mad": (series - before.median()) / before.apply(mad, raw=True),
    }
    table = {"pandas": pd.__version__, "ts": [times[at].timestamp() * 1000 for at in kept], "value": series.tolist()}
    for name, column in columns.items():
        table[name] = [None if not np.isfinite(value) else float(value) for value in column]
    (HERE / "statistics.json").write_text("{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(column)}" for name, column in table.items()) + "\n}\n")


if __name__ == "__main__":
    main()
