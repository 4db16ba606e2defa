//! Aggregations of windows.

mod accuracy;
mod extreme_numbers;
mod group;
mod moments;
mod percentiles;
