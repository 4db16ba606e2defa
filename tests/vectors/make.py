#!/usr/bin/env python3
"""Generates the conformance vectors of this folder: input, pipeline and expected rows.

Plain Python over plain lists computes the rows; it shares no code with the engine. Run it again after
a change: python3 tests/vectors/make.py. Every runtime must give exactly these bytes: the native engine,
and the module in wasmtime, in Node.js and in Chromium.

    events -> Watermark -> stream of (time, key, event, watermark) -> stage -> ... -> stage -> rows

run() passes the stream through the stages. Each kind of window is a subclass of Stage; normalize.py has
the normalize stage, passing.py the filter and key_by stages. write() stores a vector, and main() lists
them all.
"""

import csv
import io
import json
import math
import pathlib
import re
import struct
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from normalize import Normalize
from passing import filtered, key_by, passes, records, spellings

HERE = pathlib.Path(__file__).parent
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def number(value):
    """Returns a float as ECMAScript prints it, and None as null."""
    if value is None or math.isnan(value) or math.isinf(value):
        return "null"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()[1:]
    digits = "".join(map(str, digits))
    point = len(digits) + exponent
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits + "0" * (point - len(digits))
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def rfc3339(us):
    moment = EPOCH + timedelta(microseconds=us)
    fraction = f".{us % 1_000_000:06d}".rstrip("0") if us % 1_000_000 else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + "Z"


def parse_time(value, unit):
    """Returns the time in microseconds, rounded down."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?)?", value)
        day, clock, fraction, zone = match.groups()
        zone = "+00:00" if zone in (None, "Z") else zone
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone}")
        whole = (moment - EPOCH) // timedelta(microseconds=1)
        return whole + math.floor(Decimal(fraction or 0) * 1_000_000)
    return math.floor(Decimal(str(value)) * {"s": 10**6, "ms": 1000, "us": 1, "ns": Decimal("0.001")}[unit])


DURATION = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


def duration(text):
    count, unit = re.fullmatch(r"(-?\d+)([a-z]+)", text).groups()
    return int(count) * DURATION[unit]


def neumaier(values):
    total = lost = 0.0
    for value in values:
        next_total = total + value
        if abs(total) >= abs(value):
            lost += (total - next_total) + value
        else:
            lost += (value - next_total) + total
        total = next_total
    return total + lost


def variance(values, population=False):
    """Returns the variance by Welford's update. Every runtime must round in the same way."""
    mean = squares = 0.0
    for count, value in enumerate(values, 1):
        distance = value - mean
        mean += distance / count
        squares += distance * (value - mean)
    divisor = len(values) - (not population)
    return squares / divisor if divisor > 0 else None


def percentile(percent, values):
    """Returns the percentile by the linear rule of numpy. Every engine gives it for small windows."""
    ordered = sorted(value + 0.0 for value in values)
    place = (len(ordered) - 1) * (percent / 100)
    low = min(math.floor(place), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    fraction, difference = place - low, ordered[high] - ordered[low]
    if fraction >= 0.5:
        return ordered[high] - difference * (1 - fraction)
    return ordered[low] + difference * fraction


def tdigest(percent, values, size=200, flow=512):
    """Returns the percentile by the merging t-digest with the scale function 2q² (mirrored).

    The digest merges 512 values at a time, and windows of up to 512 values are exact.
    """
    if len(values) <= flow:
        return percentile(percent, values)
    centroids = []
    for at in range(0, len(values), flow):
        points = sorted(centroids + [(value + 0.0, 1.0) for value in values[at:at + flow]],
                        key=lambda point: (point[0], point[1] > 1))
        count, closed, limit = sum(weight for _, weight in points), [], 1

        def allowed(k):
            share = k / size
            if k >= size:
                return math.inf
            return (1 - 2 * (1 - share) * (1 - share) if share >= 0.5 else 2 * share * share) * count

        (mean, weight), so_far = points[0], points[0][1]
        for value, more in points[1:]:
            so_far += more
            if so_far <= allowed(limit):
                if mean != value:
                    share = more / (weight + more)
                    mixed = mean * (1 - share) + value * share
                    outside = mixed < min(mean, value) or mixed > max(mean, value)
                    mean = mean + (value - mean) * share if outside else mixed
                weight += more
            else:
                closed.append((mean, weight))
                limit += 1
                mean, weight = value, more
        centroids = sorted(closed + [(mean, weight)])
    least, greatest, rank = min(values), max(values), percent / 100 * len(values)
    if percent <= 0 or percent >= 100:
        return least if percent <= 0 else greatest
    before = at = 0
    while at + 1 < len(centroids) and before + centroids[at][1] <= rank:
        before += centroids[at][1]
        at += 1
    mean, weight = centroids[at]
    offset = (rank - before) / weight - 0.5
    if offset < 0:
        other, share = (least, 1.0) if at == 0 else (centroids[at - 1][0], weight / (centroids[at - 1][1] + weight))
    elif at + 1 == len(centroids):
        other, share = greatest, 1.0
    else:
        other, share = centroids[at + 1][0], weight / (weight + centroids[at + 1][1])
    fraction = min(max(abs(offset) * 2 * share, 0.0), 1.0)
    if mean == other:
        found = mean
    elif (mean < 0) == (other < 0):
        found = mean + (other - mean) * fraction
    else:
        found = mean * (1 - fraction) + other * fraction
    return min(max(found, least), greatest) + 0.0


# The coefficients of LogLog-Beta (Qin, Kim and Tung 2016) for 4,096 registers.
BETA = [
    -0.384979202588598,
    0.183162233114364,
    0.130396688841854,
    0.0704838927629266,
    -0.00895893971464453,
    0.0113010036741605,
    -0.0019428556959129,
    0.000225435774024964,
]


def distinct(values):
    """Returns the number of different values: exact up to 512, else LogLog-Beta over SplitMix64 of their bits."""
    if any(isinstance(value, (str, bool)) for value in values):
        # Texts, numbers, true and false. No vector has many different ones, so the count is exact.
        return float(len({(isinstance(value, bool), isinstance(value, str), value) for value in values}))
    different = {struct.unpack("<Q", struct.pack("<d", value + 0.0))[0] for value in values}
    if len(different) <= 512:
        return float(len(different))
    registers, mask = [0] * 4096, 2**64 - 1
    for bits in different:
        bits = (bits + 0x9E3779B97F4A7C15) & mask
        bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & mask
        bits ^= bits >> 31
        zeros = (bits & -bits).bit_length() if bits else 65
        registers[bits >> 52] = max(registers[bits >> 52], zeros)
    empty = registers.count(0)
    total = sum(2.0**-register for register in sorted(registers, reverse=True))
    log = math.log(empty + 1)
    correction = BETA[0] * empty + sum(beta * log**power for power, beta in enumerate(BETA[1:], 1))
    alpha = 0.7213475204444817 / (1 + 1.0794415416798357 / 4096)
    return float(math.floor(alpha * 4096 * (4096 - empty) / (total + (correction if empty else 0)) + 0.5))


def merged(left, right):
    """Merges the count, mean and squared distances of two parts (Chan, Golub and LeVeque).

    If the squared distance of the means overflows, the smaller part is added like a single value.
    """
    (n, a, p), (m, b, q) = left, right
    distance, share = b - a, m / (n + m)
    mean = a + distance * share
    between = distance * distance * (n * share)
    if not between < math.inf:
        between = abs(distance * ((b - mean) * m if m <= n else (mean - a) * n))
    return n + m, mean, (p + q) + between


def moments(slices, first, last):
    """Returns count, mean and squared distances of the slices from `first` to before `last`.

    The largest aligned nodes of 2^k slices are merged from left to right. A node merges its left half with
    its right half (Chan, Golub and LeVeque).
    """
    def combined(left, right):
        if left is None or right is None:
            return left or right
        return merged(left, right)

    def block(start, length):
        if not any(start <= at < start + length for at in slices):
            return None
        if length > 1:
            return combined(block(start, length // 2), block(start + length // 2, length // 2))
        mean = squares = 0.0
        for count, value in enumerate(slices[start], 1):
            distance = value - mean
            mean += distance / count
            squares += distance * (value - mean)
        return (float(len(slices[start])), mean, squares)

    whole, at = None, first
    while at < last:
        length = 1
        while at % (length * 2) == 0 and at + length * 2 <= last:
            length *= 2
        whole, at = combined(whole, block(at, length)), at + length
    return whole


def sliding_variance(entry, events, start, window):
    """Returns the variance or stddev of overlapping windows, which are merged from slices."""
    width = math.gcd(window.size, window.slide)
    number = lambda ts: (ts - window.offset % window.slide) // width
    slices = {}
    for ts, value in events:
        slices.setdefault(number(ts), []).append(value)
    found = moments(slices, number(start), number(start + window.size))
    divisor = len(events) - (not entry.get("population", False))
    variance = found[2] / divisor if divisor > 0 else None
    return math.sqrt(variance) if entry["op"] == "stddev" and variance is not None else variance


def aggregate(entry, events, start, end, window):
    """Returns one aggregation of `events`: pairs of time and value in stream order, without missing values."""
    op = entry["op"]
    values = [value for _, value in events]
    if op == "count":
        return float(len(values))
    if op == "rate":
        return len(values) * 1e6 / (end - start)
    if op == "distinct":
        return distinct(values)
    if not values:
        return None
    if op == "sum":
        return neumaier(values)
    if op == "avg":
        return neumaier(values) / len(values)
    if op == "range":
        return max(values) - min(values)
    if op in ("variance", "stddev") and isinstance(window, Window) and window.size > window.slide:
        return sliding_variance(entry, events, start, window)
    if op in ("variance", "stddev"):
        found = variance(values, entry.get("population", False))
        return math.sqrt(found) if op == "stddev" and found is not None else found
    if op in ("first", "last"):
        ordered = sorted(events, key=lambda event: event[0])
        return ordered[0][1] if op == "first" else ordered[-1][1]
    if entry.get("engine") == "tdigest":
        return tdigest(float(op[1:]), values)
    if re.fullmatch(r"p[0-9.]+", op):
        return percentile(float(op[1:]), values)
    return {"min": min, "max": max}[op](values)


def key_order(key):
    """Returns the sort key of a key: false < true < numbers < strings by UTF-8 bytes, field by field."""
    def rank(field):
        if isinstance(field, bool):
            return (0, int(field), b"")
        if isinstance(field, str):
            return (2, 0, field.encode())
        return (1, Decimal(str(field)), b"")
    return [rank(field) for field in key]


class Stage:
    """The base of all kinds of windows: aggregations, rows and counters."""

    def __init__(self, stage, default, is_last):
        self.aggregations = []
        for entry in stage["aggregations"]:
            entry = {"op": entry} if isinstance(entry, str) else entry
            field = entry.get("field", stage.get("field", default))
            own = entry.get("field") not in (None, default, stage.get("field"))
            name = entry.get("name", f"{entry['op']}_{field}" if own else entry["op"])
            self.aggregations.append((name, entry, field))
        self.lateness = duration(stage.get("allowed_lateness", "0s"))
        self.final = stage.get("emit") == "final" or not is_last
        self.late = 0
        self.unassigned = 0
        self.rows = []

    def row(self, firing, key, start, end, events, **marks):
        """Appends a row that aggregates `events`, which are pairs of time and event."""
        row = {"window_start": start, "window_end": end}
        for name, entry, field in self.aggregations:
            picked = [(ts, event[field] if field else 1.0) for ts, event in events]
            present = [(ts, value) for ts, value in picked if value is not None]
            row[name] = aggregate(entry, present, start, end, self)
        self.rows.append((firing, key, {**row, **marks}))


class Window(Stage):
    """Tumbling, sliding or cumulating windows. Each event is added to every window that covers it.

    Values are added in the order of arrival. The vectors with overlapping windows have values whose sums
    are exact in any order.
    """

    def __init__(self, stage, default, is_last):
        super().__init__(stage, default, is_last)
        self.size = duration(stage["size"])
        self.slide = duration(stage.get("slide", stage["size"]))
        self.step = duration(stage.get("step", stage["size"]))
        self.offset = duration(stage.get("offset", "0s"))
        self.early = duration(stage["early"]) if "early" in stage else None
        self.open = {}
        self.watermark = -math.inf

    def fires_at(self, end):
        return end - 1 + (self.lateness if self.final else 0)

    def gone_at(self, end):
        return end - 1 + self.lateness

    def fire(self, watermark):
        """Fires all windows up to the watermark, early rows included, and removes the expired windows."""
        due = []
        for start, end, key in self.open:
            times = [self.fires_at(end)]
            if self.early:
                times += range(start + self.early, times[0], self.early)
            due += [(time, end, start, key) for time in times if self.watermark < time <= watermark]
        for time, end, start, key in sorted(due, key=lambda row: (*row[:3], key_order(row[3]))):
            if time == self.fires_at(end) or self.open[start, end, key]["changed"]:
                self.emit(start, end, key, time < self.fires_at(end))
        self.watermark = watermark
        self.open = {slot: window for slot, window in self.open.items() if self.gone_at(slot[1]) > watermark}

    def emit(self, start, end, key, early=False):
        window = self.open[start, end, key]
        marks = {}
        if not self.final and (self.lateness or self.early):
            marks["revision"] = window["rows"]
        if self.early:
            marks["early"] = early
        window["rows"] += 1
        window["changed"] = False
        self.row(end - 1, key, start, end, window["events"], **marks)

    def take(self, ts, key, event, watermark):
        self.fire(watermark)
        start = (ts - self.offset) // self.slide * self.slide + self.offset
        windows = []
        while start + self.size > ts:
            ends = range(start + self.step, start + self.size + 1, self.step)
            windows += [(start, end) for end in ends if end > ts]
            start -= self.slide
        kept = sorted((end, start) for start, end in windows if self.gone_at(end) > watermark)
        self.unassigned += not windows
        self.late += bool(windows) and not kept
        for end, start in kept:
            window = self.open.setdefault((start, end, key), {"events": [], "rows": 0, "changed": False})
            window["events"].append((ts, event))
            window["changed"] = True
        for end, start in kept:
            if self.fires_at(end) <= watermark:
                self.emit(start, end, key)


class Calendar(Stage):
    """Calendar windows: days, weeks and months in a zone of the IANA database."""

    def __init__(self, stage, default, is_last):
        super().__init__(stage, default, is_last)
        self.unit, self.zone = stage["unit"], ZoneInfo(stage["zone"])
        self.open = {}

    def bounds(self, ts):
        first = datetime.fromtimestamp(ts // 1_000_000, self.zone).date()
        if self.unit == "month":
            first = first.replace(day=1)
            following = (first + timedelta(days=31)).replace(day=1)
        else:
            first -= timedelta(days=first.weekday() if self.unit == "week" else 0)
            following = first + timedelta(days=7 if self.unit == "week" else 1)
        return tuple(int(datetime(date.year, date.month, date.day, tzinfo=self.zone).timestamp()) * 1_000_000
                     for date in (first, following))

    def fire(self, watermark):
        due = [slot for slot in self.open if slot[0] - 1 <= watermark]
        for end, start, key in sorted(due, key=lambda slot: (slot[0], slot[1], key_order(slot[2]))):
            self.row(end - 1, key, start, end, self.open.pop((end, start, key)))

    def take(self, ts, key, event, watermark):
        self.fire(watermark)
        start, end = self.bounds(ts)
        if end - 1 <= watermark:
            self.late += 1
        else:
            self.open.setdefault((end, start, key), []).append((ts, event))


class Sessions(Stage):
    """Session windows. A session has its events, and `fired`: the revision of its emitted row, or None.

    Values are added in the order of arrival. The vectors that merge sessions have values whose sums are
    exact in any order.
    """

    def __init__(self, stage, default, is_last):
        super().__init__(stage, default, is_last)
        self.gap = duration(stage["gap"])
        self.sessions = []

    def end(self, session):
        return max(ts for ts, _ in session["events"]) + self.gap

    def start(self, session):
        return min(ts for ts, _ in session["events"])

    def say(self, session, firing, retracted=False):
        marks = {"revision": float(session["fired"]), "retracted": retracted} if self.lateness else {}
        self.row(firing, session["key"], self.start(session), self.end(session), session["events"], **marks)

    def fire(self, watermark):
        due = [one for one in self.sessions if one["fired"] is None and self.end(one) <= watermark]
        for session in sorted(due, key=lambda one: (self.end(one), self.start(one), key_order(one["key"]))):
            session["fired"] = session["replaces"]
            self.say(session, self.end(session) - 1)
        self.sessions = [one for one in self.sessions
                         if one["fired"] is None or self.end(one) + self.lateness > watermark]

    def take(self, ts, key, event, watermark):
        self.fire(watermark)
        parts = [one for one in self.sessions
                 if one["key"] == key and self.start(one) - self.gap <= ts <= self.end(one)]
        parts.sort(key=self.start)
        whole = {"key": key, "fired": None, "replaces": 0}
        whole["events"] = [pair for one in parts for pair in one["events"]] + [(ts, event)]
        if self.end(whole) + self.lateness <= watermark:
            self.late += 1
            return
        for one in parts:
            if one["fired"] is not None and (self.start(one), self.end(one)) != (self.start(whole), self.end(whole)):
                self.say(one, watermark, retracted=True)
            whole["replaces"] = max(whole["replaces"], one["replaces"] if one["fired"] is None else one["fired"] + 1)
            self.sessions.remove(one)
        self.sessions.append(whole)
        if self.end(whole) <= watermark:
            whole["fired"] = whole["replaces"]
            self.say(whole, watermark)


class Counted(Stage):
    """Count windows and global windows."""

    def __init__(self, stage, default, is_last):
        super().__init__(stage, default, is_last)
        self.count = stage.get("count", math.inf)
        self.open = {}

    def close(self, key, firing):
        events = self.open.pop(key)
        times = [ts for ts, _ in events]
        bounds = (None, None) if self.count == math.inf else (min(times), max(times) + 1)
        self.row(firing, key, *bounds, events)

    def fire(self, watermark):
        if watermark == math.inf:
            ends = {key: (max(ts for ts, _ in events), min(ts for ts, _ in events)) for key, events in self.open.items()}
            order = (lambda key: key_order(key)) if self.count == math.inf else (lambda key: (ends[key], key_order(key)))
            for key in sorted(self.open, key=order):
                self.close(key, watermark)

    def take(self, ts, key, event, watermark):
        self.open.setdefault(key, []).append((ts, event))
        if len(self.open[key]) == self.count:
            self.close(key, watermark)


KINDS = {"calendar": Calendar, "session": Sessions, "count": Counted, "global": Counted}


def last_moments(values, size):
    """Returns count, mean and squared distances of the last `size` values.

    The values are split into blocks of `size`. The end of the previous block, added backwards, is merged
    with the beginning of the current block.
    """
    def fold(values):
        mean = squares = 0.0
        for count, value in enumerate(values, 1):
            distance = value - mean
            mean += distance / count
            squares += distance * (value - mean)
        return len(values), mean, squares

    beginning = (len(values) - 1) % size + 1 if values else 0
    end = fold(values[max(len(values) - size, 0):len(values) - beginning][::-1])
    beginning = fold(values[len(values) - beginning:])
    if not end[0] or not beginning[0]:
        return end if end[0] else beginning
    return merged(end, beginning)


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def ema(stage, values):
    """Returns the average at the last of `values`: the values of a key so far, as in rolling() and zscore()."""
    alpha = 2 / (stage["span"] + 1) if "span" in stage else stage["alpha"]
    average = values[0]
    for value in values[1:]:
        average += alpha * (value - average)
    return {stage.get("name", "ema"): average}


def rolling(stage, values):
    """Returns the aggregations at the last value. The vectors have values whose sums are exact in any order."""
    size = stage.get("size", len(values))
    last = values[-size:]
    row = {}
    for entry in stage["aggregations"]:
        entry = {"op": entry} if isinstance(entry, str) else entry
        if entry["op"] in ("variance", "stddev"):
            count, _, squares = last_moments(values, size)
            divisor = count - (not entry.get("population", False))
            found = squares / divisor if divisor > 0 else None
            found = math.sqrt(found) if entry["op"] == "stddev" and found is not None else found
        else:
            found = aggregate(entry, [(0, value) for value in last], None, None, None)
        row[entry.get("name", entry["op"])] = found
    return row


def zscore(stage, values):
    learned, window = [], stage.get("window", 100 if stage.get("method") == "mad" else len(values))
    for value in values:
        last = learned[-window:]
        score, anomaly = None, False
        if len(last) >= stage.get("warmup", 2):
            if stage.get("method") == "mad":
                centre = median(last)
                deviation = median([abs(known - centre) for known in last]) / 0.6744897501960817
            else:
                count, centre, squares = last_moments(learned, window)
                deviation = math.sqrt(squares / (count - 1))
            if deviation == 0:
                score, anomaly = (0.0, False) if value == centre else (None, True)
            else:
                score = (value - centre) / deviation
                anomaly = abs(score) > stage.get("threshold", 3)
        if stage.get("learn_anomalies", True) or not anomaly:
            learned.append(value)
    name = stage.get("name")
    return {name or "zscore": score, f"{name}_anomaly" if name else "anomaly": anomaly}


def canonical(value):
    """Returns the same value for all spellings of a JSON value: other number formats, other orders of fields."""
    if isinstance(value, dict):
        return ("object", tuple(sorted((name, canonical(one)) for name, one in value.items())))
    if isinstance(value, list):
        return ("array", tuple(canonical(one) for one in value))
    if isinstance(value, bool) or value is None:
        return ("literal", str(value))
    if isinstance(value, (int, float)):
        return ("number", str(Decimal(repr(value)).normalize() + 0))
    return ("string", value)


def identity(strategies, event):
    """Returns the identity by the first strategy that applies, or None."""
    for strategy in strategies:
        if strategy == "@content":
            return ("@content", canonical({name: value for name, value in event.items() if value is not None}))
        names = [strategy] if isinstance(strategy, str) else strategy
        if all(event.get(name) is not None for name in names):
            return (tuple(names), tuple(canonical(event[name]) for name in names))
    return None


def dedup(stage, stream):
    """Returns the events whose identity has not occurred within the ttl."""
    ttl = duration(stage["ttl"]) if "ttl" in stage else math.inf
    seen, passed = {}, []
    for ts, key, event, met in stream:
        which = identity(stage["strategies"], event)
        if which is not None:
            if which in seen and max(ts, met) < seen[which] + ttl:
                continue
            seen[which] = ts
        passed.append((ts, key, event, met))
    return passed


ADDING = {"ema": ema, "rolling": rolling, "zscore": zscore}


def add(stage, stream, default):
    """Adds the columns of `stage` to each event, computed from the values of its key so far."""
    fields = stage.get("fields", [stage.get("field", default)])
    # A field may have its own options. Its weight replaces the weight of the stage.
    fields = [field if isinstance(field, dict) else {"name": field} for field in fields]
    weight = lambda options: {} if {"span", "alpha"} & options.keys() else {name: stage[name] for name in ("span", "alpha") if name in stage}
    of_stage = {name: value for name, value in stage.items() if name not in ("span", "alpha", "fields")}
    options = {one["name"]: {**of_stage, **weight(one), **{name: value for name, value in one.items() if name != "name"}} for one in fields}
    fields = list(options)
    so_far, added = {}, []
    for ts, key, event, met in stream:
        event = dict(event)
        for field in fields:
            values = so_far.setdefault((key, field), [])
            value = event.get(field)
            if value is not None:
                values.append(value)
            prefix = f"{field}_" if len(fields) > 1 else ""
            for name, found in ADDING[stage["type"]](options[field], values or [0.0]).items():
                missing = False if isinstance(found, bool) else None
                event[prefix + name] = missing if value is None else found
        added.append((ts, key, event, met))
    return added


def as_list(value):
    return [] if value is None else value if isinstance(value, list) else [value]


class Watermark:
    """The watermark of a stream: the minimum over its partitions, updated after every event."""

    def __init__(self, spec):
        time = spec.get("time", {})
        bound = time.get("max_out_of_orderness", "0s")
        self.lag = None if bound == "unbounded" else duration(bound) + 1
        self.kind = time.get("watermark", "bounded")
        self.interval = duration(time.get("watermark_interval", "0s"))
        self.mark = time.get("watermark_field")
        self.partition = spec.get("source", {}).get("partition")
        self.seen = {}
        self.of = {}
        self.value = -math.inf

    def observe(self, ts, event):
        name = event.get(self.partition)
        times = self.seen.setdefault(name, [])
        before = self.of.setdefault(name, -math.inf)
        times.append(ts)
        moves = {
            "periodic": max(times) - self.interval >= before + (self.lag or 0),
            "punctuated": bool(event.get(self.mark)),
            "manual": False,
        }.get(self.kind, True)
        if self.lag is not None and moves:
            reached = max(times) if self.kind == "periodic" else ts
            self.of[name] = max(before, reached - self.lag)
        self.value = max(self.value, min(self.of.values()))


def run(spec, events, originals):
    """Runs `events` (dicts with all their fields) through `spec`.

    Returns the text of the rows, and the numbers of late and of unassigned events. `originals` are the lines
    of the events, which are the rows of pipelines that pass them unchanged.
    """
    source = spec.get("source", {})
    keys = as_list(source.get("key"))
    default = (as_list(source.get("value")) + [None])[0]
    watermark = Watermark(spec)
    stream = []
    for event in events:
        ts = parse_time(event[source.get("timestamp", "ts")], source.get("timestamp_unit", "ms"))
        stream.append((ts, tuple(event[name] for name in keys), event, watermark.value))
        watermark.observe(ts, event)
    originals = {id(event): line for event, line in zip(events, originals)}
    late = unassigned = 0
    times = {"window_start", "window_end"}
    for stage in spec["stages"]:
        if stage["type"] == "dedup":
            stream = dedup(stage, stream)
            continue
        if stage["type"] == "filter":
            stream = filtered(stage, stream)
            continue
        if stage["type"] == "key_by":
            keys, stream = key_by(stage, keys, stream)
            continue
        if stage["type"] in ADDING:
            stream = add(stage, stream, default)
            rows = [(ts, key, row) for ts, key, row, _ in stream]
            continue
        if stage["type"] == "normalize":
            window = Normalize(stage, default, source.get("timestamp", "ts"), duration, neumaier)
            for sample in stream:
                window.take(*sample)
            window.finish(key_order)
            late += window.late
            times.add(window.timestamp)
            # Only the sink receives points without a value.
            stream = [(ts, key, row, -math.inf) for ts, key, row in window.rows if row[default] is not None]
            rows = window.rows
            continue
        window = KINDS.get(stage["window"], Window)(stage, default, stage is spec["stages"][-1])
        for ts, key, event, met in stream:
            event = {name: event.get(name) for _, _, name in window.aggregations if name}
            window.take(ts, key, event, met)
        window.fire(math.inf)
        late += window.late
        unassigned += window.unassigned
        # Rows are never late for a later stage, so any watermark below them gives the same result.
        stream = [(ts, key, row, -math.inf) for ts, key, row in window.rows]
        names = [name for name, _, _ in window.aggregations]
        default = names[0] if len(names) == 1 else None
        rows = window.rows
    if passes(spec["stages"]):
        return "".join(originals[id(event)] + "\n" for _, _, event, _ in stream), late, unassigned
    lines = []
    for ts, key, row in rows:
        if spec["stages"][-1]["type"] in ADDING and "window_start" not in row:
            # A row is an event: its time comes first, and its fields contain the key.
            time = source.get("timestamp", "ts")
            row = {time: rfc3339(ts), **{name: value for name, value in row.items() if name not in (time, *keys)}}
        fields = [(name, key_text(value)) for name, value in zip(keys, key)]
        fields += [(name, cell(value, name in times)) for name, value in row.items()]
        lines.append("{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields) + "}\n")
    return "".join(lines), late, unassigned


def key_text(value):
    """Returns the text of a key field. Integers keep all their digits, unless ECMAScript uses an exponent."""
    if isinstance(value, (str, bool)):
        return json.dumps(value, ensure_ascii=False)
    return str(value) if isinstance(value, int) and abs(value) < 10**21 else number(float(value))


def cell(value, is_time):
    if is_time:
        return "null" if value is None else json.dumps(rfc3339(value))
    if isinstance(value, str):
        return json.dumps(value)
    return json.dumps(value) if isinstance(value, bool) else number(value if value is None else float(value))


def ndjson(events):
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def window(size, aggregations, **more):
    return {"type": "window", "window": "tumbling", "size": size, "aggregations": aggregations, **more}


def sliding(size, slide, aggregations, **more):
    return {**window(size, aggregations, **more), "window": "sliding", "slide": slide}


def windows(kind, aggregations, **more):
    return {"type": "window", "window": kind, "aggregations": aggregations, **more}


ALL = ["count", "sum", "avg", "min", "max"]


def write(name, about, spec, events, text=None, file=None, format="ndjson", rejected=None, originals=()):
    """Writes a vector. `events` are the accepted events and `originals` their lines.

    `rejected` counts the rejected events by reason.
    """
    rows, late, unassigned = run(spec, events, originals)
    spec = {**spec, "source": {**spec.get("source", {}), "format": format}}
    vector = {
        "name": name,
        "about": about,
        "spec": spec,
        "input": {"file": file} if file else {"text": ndjson(events) if text is None else text},
        "expected": {
            "rows": rows,
            "events": len(events),
            "late_dropped": late,
            **({"unassigned": unassigned} if unassigned else {}),
            "rejected": rejected or {},
        },
    }
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(vector, ensure_ascii=False, indent=1) + "\n")
    print(f"{path.name}: {len(events)} events, {rows.count(chr(10))} rows, {late} late")


def stream(count, keys=3, step=700, jitter=0, start=1_700_000_000_000):
    """Generates a stream by a fixed recurrence, so that it never changes."""
    events = []
    state = 12345
    for at in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        events.append({
            "ts": start + at * step - (state >> 8) % (jitter + 1),
            "service": "svc-" + "abcdefgh"[(state >> 4) % keys],
            "latency": (state >> 6) % 100000 / 100,
        })
    return events


def tied(events):
    """Rounds times down to whole seconds, so that many events share a time."""
    return [{**event, "ts": event["ts"] // 1000 * 1000} for event in events]


def main():
    base = {"key": "service", "value": "latency"}
    write("tumbling", "Two keys in order, every aggregation",
          {"source": base, "stages": [window("10s", ALL)]}, stream(60, keys=2))
    write("disorder", "Up to 5 s late, of which 2 s are allowed: some events are late",
          {"source": base, "time": {"max_out_of_orderness": "2s"}, "stages": [window("5s", ALL)]},
          stream(300, keys=5, step=400, jitter=5000))
    write("unbounded", "Newest first, nothing is late",
          {"source": base, "time": {"max_out_of_orderness": "unbounded"}, "stages": [window("1m", ["count", "avg"])]},
          list(reversed(stream(200, keys=4))))
    write("offset", "Windows that start 15 minutes past, around the epoch and before",
          {"source": {"value": "v"}, "time": {"max_out_of_orderness": "unbounded"},
           "stages": [window("1h", ["count", "sum"], offset="15m")]},
          [{"ts": (at - 40) * 450_000 - 1, "v": at / 4} for at in range(80)])
    write("no_value", "No key and no value: events are counted",
          {"stages": [window("1s", ["count"])]},
          [{"ts": at * 300} for at in range(20)])
    mixed = [True, False, 3, 10, -2, 0.1, "10", "a", "ä", "a\u0000b", "a b", "", "\ud7ff", "😀", 1e21, "é\"\\\n"]
    write("keys", "Keys of several fields and types, in their order",
          {"source": {"key": ["kind", "id"], "value": "v"}, "stages": [window("1d", ["count", "max"])]},
          [{"ts": at * 10, "kind": mixed[(at * 7 + at // 16) % 16], "id": mixed[at * 11 % 16], "v": at} for at in range(200)])
    fields = stream(120, keys=2)
    for at, event in enumerate(fields):
        event["bytes"] = [None, 10, 2.5, -7][at % 4]
        if at % 5 == 0:
            del event["bytes"]
        event["nested"] = {"latency": [1, {"ts": "no"}], "text": "}],\"{"}
    write("fields", "Several fields, some missing or null, beside fields that do not matter",
          {"source": base, "stages": [window("30s", ["count", "avg", {"op": "max", "field": "bytes", "name": "peak"},
                                                     {"op": "count", "field": "bytes"}, {"op": "sum", "field": "bytes"}])]}, fields)
    write("roll_up", "Windows over windows",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [window("5s", ["sum", "count"]),
                      window("1m", ["max", {"op": "sum", "field": "count", "name": "events"}, "count"], field="sum")]},
          stream(600, keys=3, step=300, jitter=1500))
    quarters = [{**event, "latency": event["latency"] // 1 / 4} for event in stream(240, keys=4, step=400, jitter=12000)]
    write("sliding", "10 s every 3 s, up to 12 s late of which 1 s is allowed: late for some windows or for all",
          {"source": base, "time": {"max_out_of_orderness": "1s"}, "stages": [sliding("10s", "3s", ALL, offset="-1s")]},
          quarters)
    far_apart = [1e154, -5e153, 0.0, 1.5e154, 2.5e153, -1e154, 1e154, 1e308, -1e308, 3.0, 4.0, 1e154]
    write("far_apart", "Variance of slices whose means are so far apart that the square of the distance overflows",
          {"source": base, "stages": [sliding("20s", "10s", ["count", "variance", "stddev", {
              "op": "variance", "population": True, "name": "variance_pop"}])]},
          [{"ts": 1_000 + at * 10_000 + again, "service": f"svc-{again}", "latency": value}
           for at, value in enumerate(far_apart) for again in range(1 + at % 3)])
    write("sampling", "3 s every 10 s: events between the windows are in none; then a roll-up of what is left",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [sliding("3s", "10s", ["count", "max"]), sliding("1m", "20s", ["sum"], field="count")]},
          quarters)
    write("late", "Up to 12 s late, of which 1 s is disorder and 4 s more are allowed: corrected rows, and events too late for that",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [window("5s", ["count", "sum", "max"], allowed_lateness="4s")]},
          quarters)
    write("late_early_sliding", "Windows that overlap give early rows every 4 s, and again for each late event",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [sliding("10s", "5s", ["count", "avg"], allowed_lateness="3s", early="4s")]},
          quarters[:120])
    write("late_final_roll_up", "Rows of the first stage wait for late events; then a roll-up that says once what it counts",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [window("5s", ["count", "avg"], allowed_lateness="10s"),
                      window("20s", ["sum", "max"], field="count", allowed_lateness="1s", emit="final")]},
          quarters)
    bursts = [event for at, event in enumerate(quarters) if at // 20 % 3 != 1]
    write("session", "Gaps of up to 3 s, up to 12 s late of which 1 s is allowed; then a roll-up",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [windows("session", [*ALL, "first", "last", "p50"], gap="3s"),
                      windows("session", ["count", "sum"], gap="20s", field="count")]}, bursts)
    write("session_late", "The same with lateness allowed: rows are corrected, and taken back where sessions grow or are joined",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [windows("session", [*ALL, "first", "last", "p50"], gap="2s", allowed_lateness="4s")]}, bursts)
    moving(base, quarters)
    write("cumulate", "A minute that grows by 15 s, up to 12 s late of which 1 s is allowed",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [windows("cumulate", ALL, size="1m", step="15s", offset="10s")]}, quarters)
    write("counted", "Seven events each, then one window of all of these",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [windows("count", ALL, count=7), windows("global", ["count", "max"], field="avg")]}, quarters)
    new_york = {"zone": "America/New_York", "zone_offsets": [
        [1667714400, -18000], [1678604400, -14400], [1699164000, -18000], [1710054000, -14400], [1730613600, -18000]]}
    write("calendar", "Days of New York over a year in which clocks are set twice, then months of them",
          {"source": base, "time": {"max_out_of_orderness": "5h"},
           "stages": [windows("calendar", ["count", "rate"], unit="day", **new_york),
                      windows("calendar", ["sum", "count", "max"], unit="month", field="count", **new_york)]},
          stream(1200, keys=2, step=7 * 3600 * 1000, jitter=9 * 3600 * 1000, start=1_690_000_000_000))
    write("calendar_weeks", "Weeks of New York, the same events",
          {"source": base, "time": {"max_out_of_orderness": "5h"},
           "stages": [windows("calendar", ["count", "rate"], unit="week", **new_york)]},
          stream(1200, keys=2, step=7 * 3600 * 1000, jitter=9 * 3600 * 1000, start=1_690_000_000_000))
    values = [0.1, 0.2, -0.3, 1e16, 1.0, -1e16, 1e308, 1e308, -1e308, 5e-324, -0.0, 123456789012345680000.0, 1e21, 1e-7,
              1.7976931348623157e308, 2.5e-8, 0.000001, 9007199254740993.0]
    write("numbers", "Values of every magnitude: compensation, overflow to null, the shortest text",
          {"source": {"value": "v"}, "stages": [window("3s", ALL)]},
          [{"ts": at * 1000, "v": value} for at, value in enumerate(values * 3)])
    times = ["2024-02-29T23:59:59.999999Z", "2024-03-01T00:00:00.0000009Z", "2024-03-01 00:00:01+00:00",
             "2024-03-01T01:30:00.25+01:30", "2024-03-01", "2024-03-01T00:00:02", 1709251203.5, 1709251203.999999,
             "2024-02-29T22:00:03.75-02:00", 1709251204]
    write("moments_roll_up", "Variance and deviation of a sample and of all, range, and the ends in time under disorder and ties",
          {"source": base, "time": {"max_out_of_orderness": "3s"},
           "stages": [window("5s", ["count", "variance", "stddev", {"op": "variance", "population": True, "name": "variance_pop"},
                                    {"op": "stddev", "population": True, "name": "stddev_pop"}, "range", "first", "last"]),
                      window("1m", ["first", "last", "stddev", {"op": "sum", "field": "count", "name": "events"}], field="last")]},
          tied(stream(400, keys=4, step=350, jitter=4000)))
    write("moments", "The same without a roll-up, over values of every magnitude and a great mean",
          {"source": base, "time": {"max_out_of_orderness": "unbounded"},
           "stages": [window("10s", ["count", "variance", "stddev", {"op": "stddev", "population": True, "name": "stddev_pop"},
                                     "range", "first", "last"])]},
          [{**event, "latency": 1e9 + event["latency"] if at % 3 else event["latency"] * 1e-5 ** (at % 7)}
           for at, event in enumerate(tied(stream(120, keys=2, jitter=9000)))])
    exact = [{"op": op, "engine": "exact"} for op in ("p0", "p25", "p50", "p99.9", "p100")]
    write("percentiles", "Groups of up to 512 values: every engine gives what a sorted list gives, with fewer and with many",
          {"source": base, "time": {"max_out_of_orderness": "2s"},
           "stages": [window("7s", ["count", "p50", "p95", "p99", "p99.9", "p12.345678",
                                    *[{**entry, "name": "exact_" + entry["op"]} for entry in exact]])]},
          stream(500, keys=3, step=90, jitter=2000) + stream(400, keys=1, step=15, start=1_700_000_100_000))
    write("percentiles_exact", "The exact engine over more values than a sketch keeps, of both signs",
          {"source": base, "time": {"max_out_of_orderness": "unbounded"},
           "stages": [window("1d", ["count", *exact])]},
          [{**event, "latency": event["latency"] - 300} for event in stream(1500, keys=2)])
    digest = [{"op": op, "engine": "tdigest"} for op in ("p0", "p1", "p25", "p50", "p99", "p99.9", "p100")]
    write("percentiles_tdigest", "The t-digest over few and over many values, of both signs",
          {"source": base, "time": {"max_out_of_orderness": "unbounded"}, "stages": [window("1d", ["count", *digest])]},
          [{**event, "latency": event["latency"] - 300} for event in stream(2600, keys=2)]
          + stream(300, keys=3, start=1_600_000_000_000))
    write("distinct", "Different values, few and many, zeros of both signs, and rates",
          {"source": base, "time": {"max_out_of_orderness": "unbounded"},
           "stages": [window("1d", ["count", "distinct", "rate"])]},
          [{**event, "latency": value} for event, value in zip(stream(2000, keys=2), (at % 700 * 0.25 if at % 2 else float(at) for at in range(2000)))]
          + [{**event, "latency": value} for event, value in zip(stream(40, keys=2, start=1_600_000_000_000), [0.0, -0.0, 1.0, -1.0, 5e-324] * 8)])
    write("sliding_all", "Every aggregation in windows that overlap, under disorder",
          {"source": base, "time": {"max_out_of_orderness": "3s"},
           "stages": [sliding("10s", "4s", ["count", "min", "max", "range", "variance", "stddev",
                                            {"op": "stddev", "population": True, "name": "stddev_pop"}, "first", "last", "distinct", "rate",
                                            "p50", "p99.9", {"op": "p95", "engine": "exact"}, {"op": "p5", "engine": "tdigest"}],
                              offset="1s")]},
          tied(stream(300, keys=3, step=350, jitter=4000)))
    write("times", "Times as text with and without a zone and as numbers of seconds",
          {"source": {"timestamp": "at", "timestamp_unit": "s"}, "time": {"max_out_of_orderness": "unbounded"},
           "stages": [window("250ms", ["count"])]},
          [{"at": time} for time in times])
    normalized()
    statistics(base, quarters)
    deduplicated(base)
    passing(base)
    number_keys(base)
    bad_lines()
    csv_text()
    csv_quotes()
    real_data()


def moving(base, events):
    """Writes the vectors of partitions and of the kinds of watermark."""
    stages = [window("5s", ALL)]
    # One host is a minute behind. The first events of all hosts are close, so that each is known early.
    hosts = [{**event, "host": ["a", 7, True][at % 3], "ts": event["ts"] - (60_000 if at % 3 == 1 and at > 2 else 0)}
             for at, event in enumerate(events)]
    write("partitions", "Three partitions, by text, number and true, one of them a minute behind: nobody's events are late for that",
          {"source": {**base, "partition": "host"}, "time": {"max_out_of_orderness": "1s"}, "stages": stages}, hosts)
    write("partitions_periodic", "The same in steps of 7 s, each partition in its own",
          {"source": {**base, "partition": "host"},
           "time": {"watermark": "periodic", "watermark_interval": "7s", "max_out_of_orderness": "500ms"}, "stages": stages}, hosts)
    write("ascending", "Every event that is behind a window's end is late for it",
          {"source": base, "time": {"watermark": "ascending"}, "stages": stages}, events)
    marks = [True, 0, None, False, -2.5, 0, 0, 0, 1, None, 0]
    marked = [{**event, "mark": marks[at % len(marks)]} for at, event in enumerate(events)]
    write("punctuated", "Only marked events move time: numbers other than 0, and true",
          {"source": base, "time": {"watermark": "punctuated", "watermark_field": "mark", "max_out_of_orderness": "250ms"},
           "stages": stages}, marked)
    write("manual", "Nothing but the end of input fires",
          {"source": base, "time": {"watermark": "manual"}, "stages": stages}, events)


def normalized():
    def normalize(interval, **more):
        return {"type": "normalize", "interval": interval, **more}

    source = {"key": "service", "value": "latency"}
    for fill, more in [("linear", {"align": "round", "reduce": "mean"}), ("forward", {"align": "ceil", "max_gap": "6s"}),
                       ("zero", {"basis": "samples", "offset": "250ms"})]:
        write(f"normalize_{fill}", "Samples of several keys, some late, on a grid",
              {"source": source, "time": {"max_out_of_orderness": "2s"}, "stages": [normalize("1s", fill=fill, **more)]},
              stream(150, keys=4, step=900, jitter=9000))
    one = [{"ts": at * at * 137 % 90_000 - 20_000, "v": at * 31 % 17 / 4} for at in range(60)]
    for fill, more in [("spline", {}), ("polynomial", {"degree": 3})]:
        write(f"normalize_{fill}", "One series in any order, with gaps that stay",
              {"source": {"value": "v"}, "time": {"max_out_of_orderness": "unbounded"},
               "stages": [normalize("700ms", fill=fill, max_gap="3s", basis="samples", **more)]}, one)
    write("normalize_roll_up", "A grid, and windows over its points",
          {"source": source, "time": {"max_out_of_orderness": "4s"},
           "stages": [normalize("500ms", fill="backward", max_gap="5s"), window("10s", ["count", "max", "last"])]},
          stream(200, keys=3, step=600, jitter=4000))


def passing(base):
    """Writes the vectors of pipelines that pass events unchanged, with all fields and spaces."""
    def write_passing(name, about, spec, events, **more):
        lines = spellings(events)
        write(name, about, spec, events, text="\n".join(lines), originals=lines, **more)

    events = [{**event, "code": [200, 404, None, 500][at % 4], "note": ["ä\n", "\"x\"", {"deep": [at, 0.5]}][at % 3]}
              for at, event in enumerate(stream(90, keys=4, step=300, jitter=2500))]
    write_passing("pass_filter", "The events that meet conditions on numbers and on the key, as they were written",
                  {"source": base, "stages": [{"type": "filter", "where": [
                      {"field": "latency", "op": ">=", "value": 250}, {"field": "service", "op": "!=", "value": "svc-d"},
                      {"any": [{"field": "code", "op": "in", "value": [404, 500]}, {"field": "code", "op": "missing"}]}]}]}, events)
    again = repeated(stream(160, keys=3, step=250, jitter=3000))
    time = {"max_out_of_orderness": "1s"}
    ways = [("field", ["event_id"], "by one field"), ("nested", [["tenant", "order_id"]], "by two fields together, one of them nested"),
            ("content", ["@content"], "by the whole event, whatever its spelling"),
            ("chain", ["event_id", ["tenant", "order_id"], "@content"], "by the first way that an event has")]
    for way, strategies, about in ways:
        write_passing(f"pass_dedup_{way}", f"Events that did not come within 4 s before, told {about}, as they were written",
                      {"source": base, "time": time, "stages": [{"type": "dedup", "strategies": strategies, "ttl": "4s"}]}, again)
    write_passing("pass_filter_dedup", "A filter, then events that did not come before; no key",
                  {"source": {"value": "latency"}, "time": time, "stages": [
                      {"type": "filter", "where": [{"not": {"field": "latency", "op": "<", "value": 60}}]},
                      {"type": "dedup", "strategies": ["event_id", "@content"], "ttl": "5s"}]}, again)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["ts", "note", "service", "latency"])
    for at, event in enumerate(stream(40, keys=3)):
        note = ["plain", "with, comma", "two\nlines", "", "01", "1.50", "ä\"", "true"][at % 8]
        writer.writerow([event["ts"], note, event["service"], event["latency"]])
    rows = [{**row, "ts": int(row["ts"]), "latency": float(row["latency"])} for row in csv.DictReader(io.StringIO(out.getvalue()))]
    write("pass_csv", "Records of CSV that pass become objects of all their fields",
          {"source": base, "stages": [{"type": "filter", "where": [{"field": "latency", "op": "<", "value": 700}]}]},
          rows, text=out.getvalue(), format="csv", originals=records(out.getvalue()))
    texts(base, time)
    regions = [{**event, "region": ["eu", "us", 7][at % 3]} for at, event in enumerate(stream(200, keys=4, step=350, jitter=3000))]
    write("key_by_filter", "Some events of a key of two fields, kept apart by one of these from then on",
          {"source": {**base, "key": ["region", "service"]}, "time": time, "stages": [
              {"type": "filter", "where": [{"field": "service", "op": "<", "value": "svc-d"}]},
              {"type": "key_by", "fields": "region"},
              {"type": "filter", "where": [{"field": "latency", "op": ">", "value": 100}]},
              window("5s", ["count", "max", "first"])]}, regions)


def texts(base, time):
    """Writes the vectors of text fields: compared, counted and used as keys."""
    users = ["ann", "bob", 7, 7.0, "7", True, None, "", "ä\u0000"]
    events = [{**event, "user": users[at * 5 % 9], "region": ["eu", "us", "", 1, "ü"][at % 5], "status": [200, "ok", 404][at % 3]}
              for at, event in enumerate(stream(240, keys=3, step=350, jitter=3000))]
    for at, event in enumerate(events):
        if at % 11 == 0:
            del event["user"]
    write("texts", "Events by a field that is a text, and how many different ones another has, of any type",
          {"source": base, "time": time, "stages": [
              {"type": "filter", "where": [{"field": "region", "op": "!=", "value": "us"},
                                           {"not": {"field": "user", "op": "in", "value": ["bob", False]}}]},
              window("10s", ["count", {"op": "distinct", "field": "user"}, {"op": "count", "field": "user", "name": "named"}])]}, events)
    lacking = [{**event, "status": None} for event in events[:7]] + [{name: value for name, value in events[9].items() if name != "region"}]
    write("key_by_fields", "A key made of fields that are not in the key of the source; an event without one of them is refused",
          {"source": base, "time": time, "stages": [
              {"type": "dedup", "strategies": [["user", "service", "ts"]], "ttl": "1m"},
              {"type": "key_by", "fields": ["region", "status", "service"]},
              {"type": "filter", "where": [{"field": "region", "op": "in", "value": ["eu", 1, "ü"]}]},
              window("20s", ["count", "max", {"op": "distinct", "field": "user", "name": "users"}])]},
          events, text=ndjson(lacking + events), rejected={"missing_field": len(lacking)})
    lines = spellings(events)
    write("pass_texts", "The events of some texts, as they were written",
          {"source": {"value": "latency"}, "stages": [{"type": "filter", "where": [
              {"any": [{"field": "region", "op": "==", "value": "ü"}, {"field": "user", "op": "missing"},
                       {"field": "user", "op": "==", "value": True}]}]}]},
          events, text="\n".join(lines), originals=lines)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["user", "ts", "latency", "service"])
    writer.writerows([f"u{at % 7}" if at % 4 else "", event["ts"], event["latency"], event["service"]] for at, event in enumerate(events))
    rows = [{"ts": int(row["ts"]), "latency": float(row["latency"]), "service": row["service"], "user": row["user"] or None}
            for row in csv.DictReader(io.StringIO(out.getvalue()))]
    write("texts_csv", "Different texts of CSV",
          {"source": base, "time": {"max_out_of_orderness": "unbounded"}, "stages": [
              {"type": "filter", "where": [{"field": "user", "op": "!=", "value": "u3"}]},
              window("30s", [{"op": "distinct", "field": "user"}, "count"])]}, rows, text=out.getvalue(), format="csv")


def repeated(stream):
    """Returns events with identities of several kinds, some of them twice."""
    once = [{**event, "latency": event["latency"] // 1 / 4} for event in stream]
    events = []
    for at, event in enumerate(once):
        if at % 4 == 0:
            event["event_id"] = at % 24 // 4
        if at % 3 == 1:
            event.update(tenant=["a", {"b": at % 5}], order_id=f"o{at % 7}")
        events.append(event)
        if at % 5 == 0:
            # The same event in another spelling: other order of fields, whole numbers with a point.
            events.append({name: float(value) if isinstance(value, int) and name != "at" else value for name, value in reversed(event.items())})
    return events


def deduplicated(base):
    events = repeated(stream(160, keys=3, step=250, jitter=3000))
    strategies = ["event_id", ["tenant", "order_id"], "@content"]
    write("dedup", "By one field, by two together, by the whole event; remembered for 6 s, under disorder; then windows and how unusual they are",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [{"type": "dedup", "strategies": strategies, "ttl": "6s"}, window("5s", ["count", "max"]),
                      {"type": "zscore", "field": "count", "threshold": 1}]}, events)


def statistics(base, events):
    """Writes the vectors of statistics. Values are quarters, so that sums are exact in any order."""
    some = [{**event, "bytes": None if at % 3 == 0 else at % 11 / 4} for at, event in enumerate(events)]
    write("statistics", "Moving averages, rolling aggregations and z-scores of events as they come, some values missing",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [{"type": "ema", "span": 9}, {"type": "ema", "fields": ["latency", "bytes"], "alpha": 0.3},
                      {"type": "rolling", "size": 7, "field": "bytes", "aggregations": [
                          "count", "sum", "avg", "min", "max", "range", "variance", "stddev", "p50", "p95",
                          {"op": "stddev", "population": True, "name": "stddev_pop"}]},
                      {"type": "zscore", "threshold": 1.5},
                      {"type": "zscore", "field": "bytes", "window": 5, "learn_anomalies": False, "threshold": 1, "name": "near"},
                      {"type": "zscore", "method": "mad", "warmup": 4, "name": "robust"}]}, some)
    write("statistics_fields", "Several fields in one stage, some with options of their own",
          {"source": base, "time": {"max_out_of_orderness": "1s"},
           "stages": [{"type": "ema", "span": 9, "fields": ["latency", {"name": "bytes", "alpha": 0.3}]},
                      {"type": "rolling", "size": 7, "aggregations": ["avg", "p95"], "fields": [
                          {"name": "latency", "aggregations": ["max", {"op": "stddev", "name": "spread"}]}, {"name": "bytes", "size": 3}]},
                      {"type": "zscore", "threshold": 1.5, "fields": [
                          {"name": "bytes", "window": 5, "learn_anomalies": False, "threshold": 1}, "latency",
                          {"name": "latency_ema", "method": "mad", "warmup": 4}]}]}, some)
    write("statistics_of_windows", "Windows, then how unusual each of them is, and what they come to so far",
          {"source": base, "time": {"max_out_of_orderness": "3s"},
           "stages": [window("5s", ["count", "max"]), {"type": "zscore", "field": "max", "threshold": 1},
                      {"type": "rolling", "field": "count", "aggregations": [{"op": "sum", "name": "events"}, "stddev"]}]}, events)


def number_keys(base):
    """Writes the vector of number keys: integers that no double represents, their neighbours, and decimals."""
    keys = [9007199254740993, 9007199254740992, 9007199254740994, -9007199254740993, 123456789012345678901, 7, 0.1, 0.30000000000000004, -0.5]
    events = [{**event, "service": keys[at % len(keys)]} for at, event in enumerate(stream(80))]
    write("number_keys", "Keys that are numbers: integers beyond 2^53 stay apart",
          {"source": base, "stages": [window("20s", ["count", "sum"])]}, events)


def bad_lines():
    good = stream(12, keys=2, step=2500)
    bad = [
        ("not json", "invalid_json"), ("{\"ts\":1,\"service\":\"a\",\"latency\":1", "invalid_json"), ("", "invalid_json"),
        ("  ", "invalid_json"), ("[1,2]", "not_an_object"), ("null", "not_an_object"),
        ("{\"ts\":1,\"service\":\"a\",\"latency\":1} x", "invalid_json"), ("{\"ts\":01,\"service\":\"a\",\"latency\":1}", "invalid_json"),
        ("{\"service\":\"a\",\"latency\":1}", "missing_field"), ("{\"ts\":1,\"latency\":1}", "missing_field"),
        ("{\"ts\":1,\"service\":null,\"latency\":1}", "missing_field"), ("{\"ts\":1,\"service\":\"a\",\"latency\":null}", "missing_field"),
        ("{\"ts\":1,\"service\":\"a\"}", "missing_field"), ("{\"ts\":1,\"service\":\"a\",\"latency\":\"1\"}", "wrong_type"),
        ("{\"ts\":1,\"service\":[\"a\"],\"latency\":1}", "wrong_type"), ("{\"ts\":true,\"service\":\"a\",\"latency\":1}", "wrong_type"),
        ("{\"ts\":\"yesterday\",\"service\":\"a\",\"latency\":1}", "invalid_timestamp"),
        ("{\"ts\":\"2024-02-30T00:00:00Z\",\"service\":\"a\",\"latency\":1}", "invalid_timestamp"),
        ("{\"ts\":8640000000000001,\"service\":\"a\",\"latency\":1}", "timestamp_out_of_range"),
        ("{\"ts\":1,\"service\":\"a\",\"latency\":1e999}", "non_finite"), ("{\"ts\":1,\"service\":\"a\",\"latency\":NaN}", "invalid_json"),
        ("{\"ts\":1,\"service\":1e400,\"latency\":1}", "invalid_key_number"),
        ("{\"ts\":1,\"service\":0.1234567890123456789,\"latency\":1}", "invalid_key_number"),
        ("{\"ts\":1,\"service\":-1e-400,\"latency\":1}", "invalid_key_number"),
    ]
    lines = []
    for at, event in enumerate(good):
        lines += [line for line, _ in bad[at * 2:at * 2 + 2]] + [json.dumps(event)]
    counts = {}
    for _, reason in bad:
        counts[reason] = counts.get(reason, 0) + 1
    write("bad_lines", "Lines that are refused, between good ones; the last line has no newline",
          {"source": {"key": "service", "value": "latency"}, "stages": [window("10s", ["count", "sum"])]},
          good, text="\n".join(lines), rejected=counts)


def csv_text():
    events = stream(40, keys=3)
    for at, event in enumerate(events):
        event["note"] = ["plain", "with, comma", "with \"quotes\"", "two\nlines"][at % 4]
        event["bytes"] = None if at % 3 == 0 else at * 1.5
    out = io.StringIO()
    writer = csv.DictWriter(out, ["note", "latency", "ts", "bytes", "service"])
    writer.writeheader()
    writer.writerows(events)
    write("csv", "Quoted fields, line breaks within them, empty numbers",
          {"source": {"key": "service", "value": "latency"},
           "stages": [window("10s", ["count", "avg", {"op": "sum", "field": "bytes"}])]},
          events, text=out.getvalue(), format="csv")


def csv_quotes():
    good = stream(24, keys=2, step=2500)
    bad = ['1,svc-a,1,"x"y', '1,svc-a,1,"open', '"1" ,svc-a,1,', '1,svc-a,"2,', '"1""', '1,"svc-a"a,1,"', '1,svc-a,1,"two', '1,svc-a,"1"2,']
    lines = ["ts,service,latency,note"]
    for at, event in enumerate(good):
        note = ["", '"with, comma"', '"two\nlines"'][at % 3]
        # The opening quote of a later valid line would close an open quote before it.
        lines += [f"{event['ts']},{event['service']},{event['latency']},{note}"] + bad[at // 3:at // 3 + 1] * (at % 3 == 0)
    lines += ['1,svc-a,1,"never closed'] + [f"{event['ts']},{event['service']},{event['latency']}," for event in good[-3:]]
    write("csv_quotes", "Quotes that are not closed, and text after closing quotes: the lines after them count",
          {"source": {"key": "service", "value": "latency"}, "stages": [window("10s", ["count", "sum"])]},
          good + good[-3:], text="\n".join(lines), format="csv", rejected={"invalid_csv": len(bad) + 1})


def real_data():
    data = HERE.parent / "data"
    quakes = [json.loads(line) for line in (data / "usgs/earthquakes_week.ndjson").read_text().splitlines()]
    write("earthquakes", "A week of earthquakes, newest first, by seismic network",
          {"source": {"key": "key", "value": "value"}, "time": {"max_out_of_orderness": "unbounded"},
           "stages": [window("1d", ["count", "avg", "max"])]}, quakes, file="data/usgs/earthquakes_week.ndjson")
    for name, size in [("ec2_cpu_utilization_5f5533", "1h"), ("occupancy_6005", "1h")]:
        rows = csv.DictReader(io.StringIO((data / f"nab/{name}.csv").read_text()))
        events = [{"timestamp": row["timestamp"], "value": float(row["value"])} for row in rows]
        write(name, "A real series, read as CSV, without a key",
              {"source": {"timestamp": "timestamp", "value": "value"}, "stages": [window(size, ALL)]},
              events, file=f"data/nab/{name}.csv", format="csv")


if __name__ == "__main__":
    main()
