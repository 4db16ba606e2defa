//! Slow and simple normalization: reads all samples, sorts, aligns, and fills by definition.

use std::collections::BTreeMap;

use serde_json::json;
use stream_processor_core::{PipelineSpec, key};

use crate::common::Pipeline;
use crate::common::events::Event;

#[derive(Debug, Clone)]
pub struct Field {
    pub fill: &'static str,
    pub reduce: &'static str,
    /// The maximum gap in milliseconds.
    pub max_gap: Option<i64>,
    pub degree: usize,
    pub outliers: Option<&'static str>,
}

/// The options of a stage. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Options {
    pub interval: i64,
    pub offset: i64,
    pub align: &'static str,
    pub samples: bool,
    pub fields: Vec<Field>,
    pub max_fill_points: i64,
    pub bound: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub key: Vec<u8>,
    /// The time of the grid point in microseconds.
    pub time: i64,
    pub values: Vec<f64>,
    pub filled: Vec<bool>,
    pub outliers: Vec<bool>,
}

const Z: f64 = 1.5;
const WINDOW: usize = 5;

/// Returns a pipeline with `options`. Its fields are `v0` and `v1`.
pub fn spec(options: &Options, result_rows: u32) -> PipelineSpec {
    let Options { interval, offset, align, samples, fields, max_fill_points, bound } = options;
    let field = |(place, field): (usize, &Field)| {
        let mut options = json!({"name": format!("v{place}"), "fill": field.fill});
        if !samples {
            options["reduce"] = field.reduce.into();
        }
        if field.fill == "polynomial" {
            options["degree"] = field.degree.into();
        }
        if let Some(gap) = field.max_gap {
            options["max_gap"] = format!("{gap}ms").into();
        }
        if let Some(action) = field.outliers {
            options["outliers"] = json!({"zscore": Z, "window": WINDOW, "action": action});
        }
        options
    };
    let mut stage = json!({
        "type": "normalize", "interval": format!("{interval}ms"), "offset": format!("{offset}ms"),
        "fields": fields.iter().enumerate().map(field).collect::<Vec<_>>(),
    });
    match samples {
        true => stage["basis"] = "samples".into(),
        false => stage["align"] = (*align).into(),
    }
    Pipeline::of(json!({"key": "k"}))
        .bound(&format!("{bound}ms"))
        .result_rows(result_rows)
        .limit("max_fill_points", *max_fill_points)
        .stage(stage)
        .spec()
}

/// The samples of a grid point, each with its time.
pub type Samples = Vec<(i64, Event)>;

/// A grid point with a known value.
#[derive(Clone, Copy)]
struct Known {
    time: i64,
    value: f64,
    outlier: bool,
}

impl Options {
    fn interval_us(&self) -> i64 {
        self.interval * 1000
    }

    /// Returns the last grid point at or before `time`.
    fn floor(&self, time: i64) -> i64 {
        let (interval, offset) = (self.interval_us(), self.offset * 1000);
        (time - offset).div_euclid(interval) * interval + offset
    }

    /// Returns the grid point of a sample at `time`.
    pub fn place_of(&self, time: i64) -> i64 {
        let below = self.floor(time);
        let above = if below == time { time } else { below + self.interval_us() };
        match (self.samples, self.align) {
            (true, _) => time,
            (_, "floor") => below,
            (_, "ceil") => above,
            _ if (time - below) * 2 >= self.interval_us() => above,
            _ => below,
        }
    }

    /// Returns the last microsecond of the samples of the grid point `place`.
    pub fn last_of(&self, place: i64) -> i64 {
        match (self.samples, self.align) {
            (true, _) | (_, "ceil") => place,
            (_, "floor") => place + self.interval_us() - 1,
            _ => place + (self.interval_us() + 1) / 2 - 1,
        }
    }

    /// Returns the longest time between two samples of one series.
    pub fn max_silence_us(&self) -> i64 {
        self.interval_us() * (self.max_fill_points + 1)
    }

    /// Returns the rows of all samples of a key.
    pub fn rows_of(&self, key: &[u8], places: &BTreeMap<i64, Samples>) -> Vec<Row> {
        let mut series: Vec<Vec<(i64, Samples)>> = Vec::new();
        for (place, samples) in places.clone() {
            match series.last_mut() {
                Some(last) if place - last.last().unwrap().0 <= self.max_silence_us() => {
                    last.push((place, samples))
                }
                _ => series.push(vec![(place, samples)]),
            }
        }
        series.iter().flat_map(|series| rows_of(self, key, series)).collect()
    }
}

/// Returns all rows, ordered by key and time.
pub fn oracle(options: &Options, events: &[Event]) -> Vec<Row> {
    let mut places: BTreeMap<Vec<u8>, BTreeMap<i64, Samples>> = BTreeMap::new();
    let mut greatest: Option<i64> = None;
    for event in events {
        let time = event.ts * 1000;
        let watermark =
            greatest.map_or(i64::MIN, |greatest: i64| greatest - options.bound * 1000 - 1);
        let place = options.place_of(time);
        if options.last_of(place) > watermark {
            let mut key = Vec::new();
            key::push_str(&mut key, &event.key);
            places.entry(key).or_default().entry(place).or_default().push((time, event.clone()));
        }
        greatest = Some(greatest.map_or(time, |greatest| greatest.max(time)));
    }
    places.iter().flat_map(|(key, places)| options.rows_of(key, places)).collect()
}

fn rows_of(options: &Options, key: &[u8], series: &[(i64, Samples)]) -> Vec<Row> {
    let (interval, max_silence_us) = (options.interval_us(), options.max_silence_us());
    let fields: Vec<Vec<Known>> = options
        .fields
        .iter()
        .enumerate()
        .map(|(at, field)| known(options, at, field, series))
        .collect();
    let (first, last) = (series[0].0, series[series.len() - 1].0);
    let mut time = options.floor(first + interval - 1);
    let mut rows = Vec::new();
    while time <= last {
        let mut row =
            Row { key: key.to_vec(), time, values: vec![], filled: vec![], outliers: vec![] };
        for (field, known) in options.fields.iter().zip(&fields) {
            let gap = field.max_gap.map_or(max_silence_us, |gap| (gap * 1000).min(max_silence_us));
            let unit = if options.samples { 1 } else { interval };
            match known.iter().find(|known| known.time == time) {
                Some(known) => {
                    row.values.push(known.value);
                    row.filled.push(false);
                    row.outliers.extend((field.outliers == Some("flag")).then_some(known.outlier));
                }
                None => {
                    let value = fill(field, known, gap, unit, time);
                    row.values.push(value);
                    row.filled.push(!value.is_nan());
                    row.outliers.extend((field.outliers == Some("flag")).then_some(false));
                }
            }
        }
        rows.push(row);
        time += interval;
    }
    rows
}

/// Returns the known values of a field, after the treatment of outliers.
fn known(options: &Options, at: usize, field: &Field, series: &[(i64, Samples)]) -> Vec<Known> {
    let mut before: Vec<f64> = Vec::new();
    let mut known = Vec::new();
    for (place, samples) in series {
        let mut there: Vec<(i64, f64)> = samples
            .iter()
            .map(|(time, event)| (*time, event.values[at]))
            .filter(|(_, value)| !value.is_nan())
            .collect();
        if there.is_empty() {
            continue;
        }
        // The sort is stable: samples with the same time keep their order of arrival.
        there.sort_by_key(|(time, _)| *time);
        let mut sorted: Vec<f64> = there.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let reduce = if options.samples { "last" } else { field.reduce };
        let n = sorted.len();
        let value = match reduce {
            "last" => there[n - 1].1,
            "first" => there[0].1,
            "min" => sorted[0],
            "max" => sorted[n - 1],
            "sum" => sorted.iter().sum(),
            "mean" => sorted.iter().sum::<f64>() / n as f64,
            _ => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
        };
        let window = &before[before.len().saturating_sub(WINDOW)..];
        let n = window.len() as f64;
        let mean = window.iter().sum::<f64>() / n;
        let deviation =
            (window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt();
        let (low, high) = (mean - Z * deviation, mean + Z * deviation);
        let outlier =
            field.outliers.is_some() && window.len() >= 2 && (value < low || value > high);
        before.push(value);
        match field.outliers.filter(|_| outlier) {
            Some("drop") => {}
            Some("clip") => {
                known.push(Known { time: *place, value: value.clamp(low, high), outlier })
            }
            _ => known.push(Known { time: *place, value, outlier }),
        }
    }
    known
}

/// Returns the filled value at `time`, which has no sample.
fn fill(field: &Field, known: &[Known], gap: i64, unit: i64, time: i64) -> f64 {
    let right = known.partition_point(|known| known.time < time);
    if right == 0 || right == known.len() || known[right].time - known[right - 1].time > gap {
        return f64::NAN;
    }
    // The run of known points around `time`.
    let (mut start, mut end) = (right - 1, right + 1);
    while start > 0 && known[start].time - known[start - 1].time <= gap {
        start -= 1;
    }
    while end < known.len() && known[end].time - known[end - 1].time <= gap {
        end += 1;
    }
    let position = |time: i64| (time - known[right - 1].time) as f64 / unit as f64;
    let run: Vec<(f64, f64)> =
        known[start..end].iter().map(|known| (position(known.time), known.value)).collect();
    let at = right - 1 - start;
    let ((x0, a), (x1, b)) = (run[at], run[at + 1]);
    let x = position(time);
    match field.fill {
        "linear" => a + (b - a) * (x - x0) / (x1 - x0),
        "forward" => a,
        "backward" => b,
        "zero" => 0.0,
        "mean" => (a + b) / 2.0,
        "none" => f64::NAN,
        "spline" => pchip(&run, at, x),
        _ => polynomial(&run, at, field.degree, x),
    }
}

/// Evaluates Lagrange's polynomial through the nearest points.
fn polynomial(run: &[(f64, f64)], at: usize, degree: usize, x: f64) -> f64 {
    let (left, right) = run.split_at(at + 1);
    let points = (degree + 1).min(run.len());
    let from_left = (degree + 1).div_ceil(2).min(left.len()).max(points - points.min(right.len()));
    let nodes = &run[left.len() - from_left..left.len() - from_left + points];
    let term = |(i, (xi, yi)): (usize, &(f64, f64))| {
        let others = nodes.iter().enumerate().filter(|(j, _)| *j != i);
        yi * others.map(|(_, (xj, _))| (x - xj) / (xi - xj)).product::<f64>()
    };
    nodes.iter().enumerate().map(term).sum()
}

/// Evaluates the monotone cubic as scipy's `PchipInterpolator` does.
fn pchip(run: &[(f64, f64)], at: usize, x: f64) -> f64 {
    let h: Vec<f64> = run.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let m: Vec<f64> =
        run.windows(2).map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0)).collect();
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    let edge = |h0: f64, h1: f64, m0: f64, m1: f64| {
        let d = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1);
        if sign(d) != sign(m0) {
            0.0
        } else if sign(m0) != sign(m1) && d.abs() > 3.0 * m0.abs() {
            3.0 * m0
        } else {
            d
        }
    };
    let n = run.len();
    let slope = |k: usize| {
        if n == 2 {
            m[0]
        } else if k == 0 {
            edge(h[0], h[1], m[0], m[1])
        } else if k == n - 1 {
            edge(h[n - 2], h[n - 3], m[n - 2], m[n - 3])
        } else if sign(m[k - 1]) * sign(m[k]) <= 0.0 {
            0.0
        } else {
            let (w1, w2) = (2.0 * h[k] + h[k - 1], h[k] + 2.0 * h[k - 1]);
            (w1 + w2) / (w1 / m[k - 1] + w2 / m[k])
        }
    };
    let (a, b, d0, d1, length) = (run[at].1, run[at + 1].1, slope(at), slope(at + 1), h[at]);
    let t = (x - run[at].0) / length;
    let (t2, t3) = (t * t, t * t * t);
    (2.0 * t3 - 3.0 * t2 + 1.0) * a
        + (t3 - 2.0 * t2 + t) * length * d0
        + (3.0 * t2 - 2.0 * t3) * b
        + (t3 - t2) * length * d1
}
