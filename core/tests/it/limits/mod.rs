//! Limits of state under each policy.

mod call_work;
mod eviction;
mod key_bytes;
mod normalize;
mod oracle;
mod partials;
mod pipeline_size;
mod policies;
mod revisions;
mod values;
