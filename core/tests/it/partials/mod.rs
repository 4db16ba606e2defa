//! Partial state of several engines, merged by a receiver.

mod sessions;
mod windows;
