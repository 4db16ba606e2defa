//! Normalize stages.

mod options;
pub mod oracle;
mod reference;
mod rows;
mod stages;
