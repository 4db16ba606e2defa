//! State by key that stages share: which keys have state, when it expires, and what it costs.

pub(super) mod lifetime;
