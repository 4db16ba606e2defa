//! Which marks in a shared store are those of an earlier, interrupted run over the same input.
//!
//! A mark holds the position of the event that passed: the token of its run, and the number of its
//! line. A run over an input that can be read again stores its token under the name of its reader
//! and its input, and removes it when it is complete. If it ends before, the next run over that
//! input finds the token, so the marks of the interrupted run have its own positions, and their
//! events pass again. After a complete run the same input is another delivery, all of duplicates.
//!
//! Two processes must not use one token. Without a reader's name, the process locks its first input
//! file; one that does not get the lock has a token of its own, which it does not store.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use processor::deduplication::{Identifier, Strategy};
use processor::state::{StateBackend, StateError};

use crate::io::Input;

/// The input of a run, as far as another run can read it again.
pub(crate) enum ReplayableInput {
    /// The same input has the same name in the next run, and no other process has it.
    Named {
        name: String,
        /// Held until the run ends.
        _lock: Option<File>,
    },
    /// The next run reads other events, or another process reads the input now.
    No,
}

impl ReplayableInput {
    /// Returns how the input of a run can be read again by the process called `reader`, or by one
    /// on this host.
    pub(crate) fn of(input: &Input, reader: Option<&str>) -> Self {
        let paths = match input {
            Input::Files(paths) => paths.as_slice(),
            Input::Stdin | Input::Reader(..) | Input::Source(_) => &[],
        };
        let names = paths.iter().map(|path| {
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            path.to_string_lossy().into_owned()
        });
        let names: Vec<String> = names.collect();
        match (reader, paths) {
            (Some(reader), _) => Self::Named { name: name_of(&[reader], &names), _lock: None },
            (None, []) => Self::No,
            (None, [first, ..]) => match (host_name(), lock(first)) {
                (Some(host), Some(lock)) => {
                    Self::Named { name: name_of(&["", &host], &names), _lock: Some(lock) }
                }
                _ => Self::No,
            },
        }
    }
}

/// Locks a regular file until it is closed, unless another process has locked it.
fn lock(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    (cfg!(unix) && is_regular && file.try_lock().is_ok()).then_some(file)
}

/// Returns the name of this machine, if the system tells it.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

/// Returns a short name for the reader and its inputs.
fn name_of(reader: &[&str], inputs: &[String]) -> String {
    let text = serde_json::json!([reader, inputs]).to_string();
    let event = format!("{{\"run\":{text}}}");
    let identity = Identifier::new(&[Strategy::Content]).of_json(event.as_bytes());
    identity.iter().map(|half| format!("{half:016x}")).collect()
}

/// The token of a run, a random number.
pub(super) struct RunToken {
    token: [u8; 8],
    /// The key of the stored token; `None` if the input cannot be read again.
    key: Option<Vec<u8>>,
}

impl RunToken {
    /// Returns the token of an interrupted run over `input`, or stores a new one.
    pub(super) async fn claim(
        backend: &dyn StateBackend,
        key_prefix: &str,
        input: &ReplayableInput,
    ) -> Result<Self, StateError> {
        let token = RandomState::new().hash_one(std::process::id()).to_le_bytes();
        let ReplayableInput::Named { name, .. } = input else {
            return Ok(Self { token, key: None });
        };
        // Identities have 16 bytes, so the key is none of theirs.
        let key = format!("{key_prefix}run:{name}").into_bytes();
        let stored = backend.put_if_absent(&key, &token, None).await?;
        let token = stored.and_then(|stored| stored.try_into().ok()).unwrap_or(token);
        Ok(Self { token, key: Some(key) })
    }

    /// Returns the position of the event on a line, counted over all inputs.
    pub(super) fn position(&self, line: u64) -> [u8; 16] {
        let mut position = [0; 16];
        let (token, number) = position.split_at_mut(8);
        token.copy_from_slice(&self.token);
        number.copy_from_slice(&line.to_le_bytes());
        position
    }

    /// Removes the stored token: the run is complete.
    pub(super) async fn remove(&self, backend: &dyn StateBackend) -> Result<(), StateError> {
        match &self.key {
            Some(key) => backend.delete(key).await.map(drop),
            None => Ok(()),
        }
    }
}
