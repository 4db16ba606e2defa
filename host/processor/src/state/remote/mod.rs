//! The parts that the backends over a server share: their options, and the repetition of calls.

mod backoff;
mod options;
mod retry;

pub(super) use self::options::RemoteOptions;
#[cfg(feature = "postgres")]
pub(super) use self::options::check_duration;
pub(super) use self::retry::{Attempt, Repeat, retry};
