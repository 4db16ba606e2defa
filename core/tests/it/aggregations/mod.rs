//! Aggregations of windows.

mod accuracy;
mod distinct_seed;
mod extreme_numbers;
mod group;
mod moments;
mod percentiles;
