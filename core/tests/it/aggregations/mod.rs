//! Aggregations of windows.

mod accuracy;
mod extreme_numbers;
mod moments;
mod percentiles;
