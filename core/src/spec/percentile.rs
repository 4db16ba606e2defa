//! Percentiles by name, and the engines that compute them.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A percentile from 0 to 100 with up to six decimal places: the number after `p` in `p99.9`.
/// ```
/// use stream_processor_core::spec::Percentile;
/// assert_eq!("99.9".parse::<Percentile>().map(Percentile::percent), Ok(99.9));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentile {
    millionths: u32,
}

const SCALE: u32 = 1_000_000;

impl Percentile {
    /// Regular expression of its text.
    #[cfg(feature = "schema")]
    pub(super) const PATTERN: &str = r"(100(\.0{1,6})?|[0-9]{1,2}(\.[0-9]{1,6})?)";

    /// Returns the percentile as the nearest double.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.millionths) / f64::from(SCALE)
    }
}

/// Error: the text is not a percentile.
/// ```
/// use stream_processor_core::spec::Percentile;
/// assert!("101".parse::<Percentile>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a percentile is a number from 0 to 100 with at most six decimals, such as 99.9")]
pub struct PercentileError;

impl FromStr for Percentile {
    type Err = PercentileError;

    #[inline]
    fn from_str(text: &str) -> Result<Self, PercentileError> {
        let digits = |text: &str, max_digits| {
            (1..=max_digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if !digits(whole, 3) || !digits(decimals, 6) || (whole.len() == 3 && whole != "100") {
            return Err(PercentileError);
        }
        let parse = |text: &str| text.parse::<u32>().map_err(|_| PercentileError);
        let millionths = parse(whole)? * SCALE + parse(&format!("{decimals:0<6}"))?;
        if millionths > 100 * SCALE {
            return Err(PercentileError);
        }
        Ok(Self { millionths })
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.millionths / SCALE)?;
        match self.millionths % SCALE {
            0 => Ok(()),
            rest => write!(f, ".{}", format!("{rest:06}").trim_end_matches('0')),
        }
    }
}

/// The method that computes a percentile.
/// ```
/// use stream_processor_core::spec::PercentileEngine;
/// assert_eq!(serde_json::from_str::<PercentileEngine>(r#""exact""#)?, PercentileEngine::Exact);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PercentileEngine {
    /// Exactly for few values, else in logarithmic buckets: each order statistic within 1 %, in
    /// little memory.
    #[default]
    Sketch,
    /// Exactly for few values, else by a t-digest: within a small share of the ranks, max_digits
    /// precise at both ends.
    Tdigest,
    /// From all values, up to `limits.max_values` for one window and key.
    Exact,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_displays_in_shortest_form() {
        for (text, plain) in [
            ("0", "0"),
            ("50", "50"),
            ("99.9", "99.9"),
            ("99.90", "99.9"),
            ("05", "5"),
            ("0.000001", "0.000001"),
            ("100", "100"),
            ("100.000", "100"),
        ] {
            let percentile: Percentile = text.parse().unwrap();
            assert_eq!(percentile.to_string(), plain);
            assert_eq!(percentile.percent(), plain.parse::<f64>().unwrap());
        }
    }

    #[test]
    fn invalid_percentiles_are_rejected() {
        for text in [
            "",
            "101",
            "100.1",
            "-1",
            "+5",
            "5.",
            ".5",
            "1e1",
            "99.9999999",
            "005",
            "5 ",
            "٥",
            "5.0.0",
        ] {
            assert_eq!(text.parse::<Percentile>(), Err(PercentileError), "{text}");
        }
    }
}
