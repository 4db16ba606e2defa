//! A table of series for a terminal: statistics of each, and a sparkline of its averages.

use std::io::IsTerminal;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SPARKLINE_CELLS: usize = 40;

/// Statistics of the windows of one key.
pub(crate) struct Series {
    pub(crate) name: String,
    /// The number of events.
    pub(crate) count: u64,
    min: f64,
    sum: f64,
    max: f64,
    averages: Vec<f64>,
}

impl Series {
    pub(crate) fn new(name: &str) -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { name: name.to_string(), count: 0, min, sum: 0.0, max, averages: Vec::new() }
    }

    /// Adds the next window.
    pub(crate) fn add(&mut self, count: u64, min: f64, average: f64, max: f64) {
        self.count += count;
        self.min = self.min.min(min);
        self.sum += average * as_f64(count);
        self.max = self.max.max(max);
        self.averages.push(average);
    }

    pub(crate) fn windows(&self) -> usize {
        self.averages.len()
    }

    fn cells(&self) -> [String; 6] {
        let average = self.sum / as_f64(self.count);
        [
            self.name.clone(),
            self.count.to_string(),
            self.windows().to_string(),
            short(self.min),
            short(average),
            short(self.max),
        ]
    }
}

/// Formats text with colors for a terminal, without colors for other outputs.
#[derive(Clone, Copy)]
pub(crate) struct Painter {
    colors: bool,
}

impl Painter {
    pub(crate) fn of_stdout() -> Self {
        let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colors: std::io::stdout().is_terminal() && !asked_not_to }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Returns a table with a line of titles and a line for each series.
    pub(crate) fn table(self, series: &[Series]) -> String {
        let titles = ["key", "events", "windows", "min", "avg", "max"].map(String::from);
        let rows: Vec<[String; 6]> = series.iter().map(Series::cells).collect();
        let width = |column: usize| {
            let cells = std::iter::once(&titles).chain(&rows);
            cells.map(|cells| cells[column].chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        let mut lines = vec![self.dim(&format!("{}  avg over time", line(&titles, &widths)))];
        for (cells, series) in rows.iter().zip(series) {
            let sparkline = self.paint("36", &sparkline(&series.averages));
            lines.push(format!("{}  {sparkline}", line(cells, &widths)));
        }
        lines.join("\n")
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Joins cells to a line, the first aligned left, numbers aligned right.
fn line(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let [name, numbers @ ..] = cells;
    let [name_width, number_widths @ ..] = widths;
    let mut text = format!("{name:<name_width$}");
    for (number, width) in numbers.iter().zip(number_widths) {
        text.push_str(&format!("  {number:>width$}"));
    }
    text
}

/// Returns a sparkline of `values`. If there are more than [`SPARKLINE_CELLS`], a cell is a mean.
fn sparkline(values: &[f64]) -> String {
    let cells = values.len().min(SPARKLINE_CELLS);
    let means: Vec<f64> = (0..cells)
        .map(|cell| {
            let part = &values[cell * values.len() / cells..(cell + 1) * values.len() / cells];
            part.iter().sum::<f64>() / as_f64(part.len() as u64)
        })
        .collect();
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let span = means.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
    let bar = |mean: &f64| {
        let level = if span > 0.0 { (mean - least) / span * 7.0 } else { 3.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        BARS[(level.round() as usize).min(7)]
    };
    means.iter().map(bar).collect()
}

/// Formats a number in at most seven characters: 51.85, 1.2k, 250.3M.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    match magnitude {
        _ if magnitude >= 1e6 => format!("{:.1}M", value / 1e6),
        _ if magnitude >= 1e4 => format!("{:.1}k", value / 1e3),
        _ => format!("{value:.2}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparkline_scales_from_the_least_to_the_greatest_mean() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[5.0, 5.0]), "▄▄");
        assert_eq!(sparkline(&[]), "");
        let many: Vec<f64> = (0..400).map(f64::from).collect();
        assert_eq!(sparkline(&many).chars().count(), SPARKLINE_CELLS);
    }

    #[test]
    fn numbers_are_abbreviated() {
        assert_eq!(
            [0.5, 51.846, 9_999.0, 12_345.0, 250_300_000.0].map(short),
            ["0.50", "51.85", "9999.00", "12.3k", "250.3M"]
        );
    }
}
