//! Window stages, one file for each kind of window.

mod calendar;
mod calendar_years;
mod count;
mod cumulating;
mod late;
mod late_examples;
mod own_aggregators;
mod session;
mod sliding;
mod sliding_groups;
mod tumbling;
