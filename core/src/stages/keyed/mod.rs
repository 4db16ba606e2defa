//! State by key that stages share: which keys have state, when it expires, and what it costs.
//!
//! | type | what it owns | used by |
//! |---|---|---|
//! | [`KeyedState`](state::KeyedState) | the number of entries of each key, the order of use, the bytes, the limits | windows, sessions, count windows, analytics |
//! | [`MemoryBudget`](memory_budget::MemoryBudget) | the bytes counted for keys and slots | `KeyedState`, `normalize` |
//! | [`Slots`](slots::Slots) | the items of a stage by slot, and the free slots | windows, sessions, count windows |
//! | [`Lifetimes`](lifetime::Lifetimes) | a `KeyedState` whose keys expire after a ttl | analytics |
//! | [`Limited`](limits::Limited) | nothing: a trait that applies the policy of a limit | all of them |
//!
//! An entry that has no room is handled in this order:
//!
//! ```text
//! KeyedState::limit -> Some(limit) -> Limited::at_limit
//!                                       evict:   make_room, then the event is tried again
//!                                       drop:    drop_event
//!                                       refuse:  the call ends before the event
//! ```

pub(super) mod lifetime;
pub(super) mod limits;
pub(super) mod memory_budget;
pub(super) mod slots;
pub(super) mod state;
