#!/usr/bin/env python3
"""Generates normalize.json of this folder: series normalized by pandas and scipy.

core/tests/it/normalize/reference.rs compares the native engine with them, up to rounding. The script needs
pandas and scipy (last run with pandas 3.1 and scipy 1.17): python3 tests/vectors/reference/make.py.
Each case has the options of the stage, the samples or their file, and the expected values or nulls.
"""

import json
import math
import pathlib
import random

import numpy
import pandas
from scipy.interpolate import BarycentricInterpolator, PchipInterpolator

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data"
CASES = []


def case(options, source, values):
    """Appends a case. `values` is a series on the grid."""
    values = values[values.first_valid_index():values.last_valid_index()]
    CASES.append({
        "options": options, **source,
        "start": int(values.index[0].value // 10**6),
        "values": [None if math.isnan(value) else float(f"{value:.12g}") for value in values],
    })
    print(options, len(values))


def seconds(index, origin):
    """Returns seconds since `origin`: a double cannot hold times since the epoch to the microsecond."""
    return (index.astype("int64").to_numpy() - origin.value) / 1e9


def unit(series):
    """Converts the index to nanoseconds from any unit of pandas."""
    series = series.copy()
    series.index = series.index.as_unit("ns")
    return series


def gaps(known, grid, longest):
    """Returns for each point of `grid` whether it lies in a gap of `known` longer than `longest`."""
    right = numpy.searchsorted(known, grid)
    exact = known[numpy.minimum(right, len(known) - 1)] == grid
    length = known[numpy.minimum(right, len(known) - 1)] - known[numpy.maximum(right - 1, 0)]
    return ~exact & (length > longest)


def polynomial(known, grid, degree):
    """Evaluates the polynomial through the nearest known points of each gap."""
    origin = known.index[0]
    times, values = seconds(known.index, origin), known.to_numpy()
    out = []
    for time in seconds(grid, origin):
        right = int(numpy.searchsorted(times, time))
        if right < len(times) and times[right] == time:
            out.append(values[right])
            continue
        from_left = min(-(-(degree + 1) // 2), right)
        from_right = min(degree + 1 - from_left, len(times) - right)
        from_left = min(degree + 1 - from_right, right)
        near = slice(right - from_left, right + from_right)
        # Times near 0 keep the precision.
        out.append(float(BarycentricInterpolator(times[near] - time, values[near])(0.0)))
    return pandas.Series(out, index=grid)


def compare(samples, source, freq, interval):
    """Appends the cases that pandas and scipy can compute."""
    samples = unit(samples)
    aligned = unit(samples.resample(freq).last())
    known = aligned.dropna()
    grid = aligned.index
    step = {"interval": interval}
    case({**step, "fill": "none"}, source, aligned)
    case({**step, "fill": "linear"}, source, aligned.interpolate("linear"))
    case({**step, "fill": "forward"}, source, aligned.ffill())
    case({**step, "fill": "backward"}, source, aligned.bfill())
    case({**step, "fill": "zero"}, source, aligned.fillna(0))
    case({**step, "fill": "mean"}, source, (aligned.ffill() + aligned.bfill()) / 2)
    case({**step, "fill": "spline"}, source, aligned.interpolate("pchip"))
    for degree in (1, 2, 3, 4):
        case({**step, "fill": "polynomial", "degree": degree}, source, polynomial(known, grid, degree))
    for reduce in ("first", "mean", "min", "max", "median"):
        reduced = getattr(samples.resample(freq), reduce)()
        case({**step, "fill": "linear", "reduce": reduce}, source, reduced.interpolate("linear"))
    case({**step, "fill": "none", "reduce": "sum"}, source, samples.resample(freq).sum(min_count=1))
    ceiled = samples.groupby(samples.index.ceil(freq)).last().asfreq(freq)
    case({**step, "fill": "linear", "align": "ceil"}, source, ceiled.interpolate("linear"))
    half = pandas.Timedelta(freq) / 2
    rounded = samples.groupby((samples.index + half).floor(freq)).last().asfreq(freq)
    case({**step, "fill": "linear", "align": "round"}, source, rounded.interpolate("linear"))
    longest = 3 * pandas.Timedelta(freq)
    linear = aligned.interpolate("linear")
    linear[gaps(known.index.to_numpy(), grid.to_numpy(), longest.to_numpy())] = math.nan
    case({**step, "fill": "linear", "max_gap": f"{longest // pandas.Timedelta('1ms')}ms"}, source, linear)
    # These cases interpolate between the raw samples.
    raw = samples.groupby(level=0).last()
    inner = pandas.date_range(raw.index[0].ceil(freq), raw.index[-1].floor(freq), freq=freq).as_unit("ns")
    basis = {**step, "basis": "samples"}
    numbers = (seconds(raw.index, raw.index[0]), raw.to_numpy())
    places = seconds(inner, raw.index[0])
    case({**basis, "fill": "linear"}, source, pandas.Series(numpy.interp(places, *numbers), index=inner))
    case({**basis, "fill": "spline"}, source, pandas.Series(PchipInterpolator(*numbers)(places), index=inner))
    case({**basis, "fill": "forward"}, source, raw.reindex(inner, method="ffill"))
    case({**basis, "fill": "backward"}, source, raw.reindex(inner, method="bfill"))
    case({**basis, "fill": "polynomial", "degree": 3}, source, polynomial(raw, inner, 3))


def main():
    random.seed(5)
    time, samples = 1_700_000_000_250, []
    for _ in range(150):
        time += random.choice([40, 130, 700, 1100, 2600, 7000])
        samples.append([time, round(random.gauss(20, 5), 3)])
    index = pandas.to_datetime([time for time, _ in samples], unit="ms")
    compare(pandas.Series([value for _, value in samples], index=index), {"samples": samples}, "1s", "1s")
    for name, freq, interval in [("occupancy_6005", "1h", "1h"), ("speed_7578", "90min", "90m"),
                                 ("ambient_temperature_system_failure", "12h", "12h")]:
        table = pandas.read_csv(DATA / f"nab/{name}.csv", parse_dates=["timestamp"], index_col="timestamp")
        compare(table["value"].astype(float), {"file": f"data/nab/{name}.csv"}, freq, interval)
    (HERE / "normalize.json").write_text(json.dumps(CASES, separators=(",", ":")).replace('},{"opt', '},\n{"opt') + "\n")


if __name__ == "__main__":
    main()
