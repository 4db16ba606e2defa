"""The normalize stage of make.py: reads all samples, aligns, reduces and fills by definition."""

import math


def neighbours(degree, left, right):
    """Returns the points of a polynomial: half on each side, or more on one side if the other has too few."""
    from_left = min(-(-(degree + 1) // 2), len(left))
    from_right = min(degree + 1 - from_left, len(right))
    from_left = min(degree + 1 - from_right, len(left))
    return left[len(left) - from_left:] + right[:from_right]


def newton(points, x):
    """Evaluates the polynomial through `points` at `x`, by divided differences."""
    positions, factors = [p for p, _ in points], [v for _, v in points]
    for order in range(1, len(points)):
        for at in range(len(points) - 1, order - 1, -1):
            factors[at] = (factors[at] - factors[at - 1]) / (positions[at] - positions[at - order])
    total = 0.0
    for position, factor in reversed(list(zip(positions, factors))):
        total = total * (x - position) + factor
    return total


def pchip(left, right, x):
    """Evaluates the monotone cubic between the last of `left`, at position 0, and the first of `right`."""
    def piece(a, b):
        return b[0] - a[0], (b[1] - a[1]) / (b[0] - a[0])

    def inner(before, after):
        (h0, m0), (h1, m1) = before, after
        if m0 == 0 or m1 == 0 or (m0 < 0) != (m1 < 0):
            return 0.0
        w0, w1 = 2 * h1 + h0, h1 + 2 * h0
        return 1 / ((w0 / m0 + w1 / m1) / (w0 + w1))

    def edge(here, following):
        (h0, m0), (h1, m1) = here, following
        slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
        if (slope > 0) - (slope < 0) != (m0 > 0) - (m0 < 0):
            return 0.0
        if (m0 > 0) - (m0 < 0) != (m1 > 0) - (m1 < 0) and abs(slope) > 3 * abs(m0):
            return 3 * m0
        return slope

    here = piece(left[-1], right[0])
    before = piece(left[-2], left[-1]) if len(left) > 1 else None
    after = piece(right[0], right[1]) if len(right) > 1 else None
    start = inner(before, here) if before else edge(here, after) if after else here[1]
    end = inner(here, after) if after else edge(here, before) if before else here[1]
    length, slope = here
    square = (3 * slope - 2 * start - end) / length
    cube = (start + end - 2 * slope) / (length * length)
    a, b = left[-1][1], right[0][1]
    value = a + x * (start + x * (square + x * cube))
    return min(max(value, min(a, b)), max(a, b))


class Normalize:
    """A normalize stage of one field. Rows are ordered by the watermark that emits them.

    For `spline` and `polynomial` that order is valid for streams of a single key only.
    """

    def __init__(self, stage, field, timestamp, duration, total):
        self.stage, self.field, self.timestamp, self.total = stage, field, timestamp, total
        self.interval, self.offset = duration(stage["interval"]), duration(stage.get("offset", "0s"))
        self.gap = duration(stage["max_gap"]) if "max_gap" in stage else math.inf
        self.aligned = stage.get("basis", "aligned") == "aligned"
        align = stage.get("align", "floor")
        self.shift = {"floor": 0, "round": self.interval // 2, "ceil": self.interval - 1}[align]
        self.samples = {}
        self.late = self.unassigned = 0
        self.rows = []

    def floor(self, time):
        return (time - self.offset) // self.interval * self.interval + self.offset

    def last(self, place):
        return place + self.interval - 1 - self.shift if self.aligned else place

    def take(self, ts, key, event, watermark):
        place = self.floor(ts + self.shift) if self.aligned else ts
        if self.last(place) <= watermark:
            self.late += 1
        else:
            self.samples.setdefault(key, {}).setdefault(place, []).append((ts, event[self.field]))

    def reduce(self, samples):
        """Reduces the samples of a grid point. Sums follow event time, so they do not depend on arrival."""
        samples = sorted(samples, key=lambda sample: sample[0])
        values = [value for _, value in samples]
        ordered = sorted(values)
        middle = len(ordered) // 2
        return {
            "last": lambda: values[-1], "first": lambda: values[0],
            "min": lambda: ordered[0], "max": lambda: ordered[-1],
            "sum": lambda: self.total([v for _, v in sorted(samples)]),
            "mean": lambda: self.total([v for _, v in sorted(samples)]) / len(values),
            "median": lambda: ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2,
        }[self.stage.get("reduce", "last")]()

    def fill(self, known, at, time):
        """Returns the filled value at `time`, between the known points `at - 1` and `at`."""
        if known[at][0] - known[at - 1][0] > self.gap:
            return None
        start = end = at
        while start > 1 and known[start - 1][0] - known[start - 2][0] <= self.gap:
            start -= 1
        while end + 1 < len(known) and known[end + 1][0] - known[end][0] <= self.gap:
            end += 1
        unit = self.interval if self.aligned else 1
        zero = known[at - 1][0]
        run = [((time - zero) // unit + 0.0, value) for time, value in known[start - 1:end + 1]]
        left, right = run[:at - start + 1], run[at - start + 1:]
        x = (time - zero) // unit + 0.0
        a, (length, b) = left[-1][1], right[0]
        return {
            "linear": lambda: a + (b - a) * x / length,
            "forward": lambda: a, "backward": lambda: b, "zero": lambda: 0.0, "mean": lambda: (a + b) / 2,
            "none": lambda: None,
            "spline": lambda: pchip(left, right, x),
            "polynomial": lambda: newton(neighbours(self.stage["degree"], left, right), x),
        }[self.stage.get("fill", "linear")]()

    def finish(self, key_order):
        for key, places in self.samples.items():
            known = [(place, self.reduce(samples)) for place, samples in sorted(places.items())]
            at, time = 0, self.floor(known[0][0] + self.interval - 1)
            while time <= known[-1][0]:
                while known[at][0] < time:
                    at += 1
                exact = known[at][0] == time
                value = known[at][1] if exact else self.fill(known, at, time)
                filled = not exact and value is not None
                row = {self.timestamp: time, self.field: value, "filled": filled}
                self.rows.append((self.last(known[at][0]), time, key, row))
                time += self.interval
        self.rows.sort(key=lambda row: (row[0], row[1], key_order(row[2])))
        self.rows = [(time, key, row) for _, time, key, row in self.rows]
