//! Window aggregations: each key is aggregated separately, in windows of four kinds.
//!
//! | stage | windows | folder |
//! |---|---|---|
//! | [`WindowStage`] | tumbling, sliding, cumulating: on a grid of event time | `time/` |
//! | [`CalendarStage`] | days, weeks, months of a zone: a `WindowStage` on a uniform time scale | `calendar.rs` |
//! | [`SessionStage`] | events of a key within a gap of each other | `session/` |
//! | [`CountStage`] | a number of events of a key, or all of them | `count/` |
//!
//! Shared by all: `core/src/aggregates/` holds the values of all open windows in columns indexed
//! by slot, `windows.rs` adds events to them and counts bytes, `partial.rs` exports and merges open
//! windows, `staging.rs` holds partial state of other engines until it is merged. A slot is a dense
//! number for the state of one key in one slice, session or count window.
//!
//! Every stage cuts a batch into runs and handles each run in two passes:
//!
//! ```text
//! assign     write the slot of each event into `run`, until something else must come first:
//!            a window fires, an event is dropped or late, a limit is reached
//! apply      add each field's values to the accumulators, one loop per field
//! stop       fire, revise, merge, evict or drop as `assign` asked; then the next run
//! ```

mod calendar;
mod count;
mod partial;
mod session;
mod staging;
mod time;
mod windows;

pub(crate) use calendar::CalendarStage;
pub(crate) use count::CountStage;
pub(crate) use session::SessionStage;
pub(crate) use time::WindowStage;
