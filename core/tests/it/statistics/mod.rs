//! Stages that add statistics: `ema`, `rolling` and `zscore`.

mod reference;
mod rows;
mod stages;
