//! Times of events, watermarks, partitions and host time.

mod milliseconds;
mod options;
mod oracle;
mod watermarks;
