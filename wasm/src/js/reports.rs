//! Reports of events and lines that gave no row.

use wasm_bindgen::prelude::*;

use super::Processor;

#[wasm_bindgen]
impl Processor {
    /// Removes and returns the rejected lines as a JSON array; empty if there are none.
    pub fn take_rejected(&mut self) -> String {
        let lines = self.feed.take_rejected();
        if lines.is_empty() {
            return String::new();
        }
        serde_json::to_string(&lines).unwrap_or_default()
    }

    /// Removes and returns the dropped events as a JSON array; empty if there are none. Times are
    /// microseconds.
    pub fn take_dropped(&mut self) -> String {
        let events = self.feed.take_dropped(&mut self.engine);
        if events.is_empty() {
            return String::new();
        }
        serde_json::to_string(&events).unwrap_or_default()
    }
}
