//! Limits of state under each policy.

mod eviction;
mod normalize;
mod oracle;
mod partials;
mod pipeline_size;
mod policies;
