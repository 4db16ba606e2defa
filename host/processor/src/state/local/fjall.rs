//! The backend over fjall.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fjall::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};

use super::entry::{Stored, now_us};
use super::{Change, LocalBackend, Step, Store, Visit, delegate_state_backend};
use crate::state::StateError;

const BACKEND: &str = "the embedded store";
const KEYSPACE: &str = "state";

/// A backend in a folder of the own machine, by fjall 3.
///
/// A write is on disk before it is acknowledged: it survives a crash and a power failure. One
/// process can open the folder at a time. Calls need a tokio runtime. Expired entries are removed
/// when the store merges its files.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use processor::state::{EmbeddedStateBackend, StateBackend};
/// use std::time::Duration;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("state");
/// let backend = EmbeddedStateBackend::new(&path)?.with_default_ttl(Duration::from_secs(3600));
/// backend.put(b"order-17", b"1").await?;
/// drop(backend);
///
/// let backend = EmbeddedStateBackend::new(&path)?;
/// assert_eq!(backend.get(b"order-17").await?.as_deref(), Some(b"1".as_slice()));
/// # Ok::<(), processor::state::StateError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EmbeddedStateBackend {
    inner: LocalBackend<FjallStore>,
    path: PathBuf,
}

struct FjallStore {
    database: Database,
    keyspace: Keyspace,
}

impl EmbeddedStateBackend {
    /// Opens the folder at `path`, and creates it if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be used, or if another process has it open.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref().to_path_buf();
        let opened = Database::builder(&path)
            .with_compaction_filter_factories(Arc::new(|_| Some(Arc::new(DropExpired))))
            .open()
            .and_then(|database| {
                let keyspace = database.keyspace(KEYSPACE, KeyspaceCreateOptions::default)?;
                Ok(FjallStore { database, keyspace })
            });
        let store = opened.map_err(|error| open_error(&path, error))?;
        Ok(Self { inner: LocalBackend::new(store), path })
    }

    /// Sets the ttl of [`put`](crate::state::StateBackend::put), and of `put_if_absent` without a
    /// ttl. Unset, such entries never expire.
    #[must_use]
    pub fn with_default_ttl(mut self, ttl: Duration) -> Self {
        self.inner.default_ttl = Some(ttl);
        self
    }
}

impl fmt::Debug for EmbeddedStateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, path } = self;
        let mut debug = f.debug_struct("EmbeddedStateBackend");
        debug.field("path", path).field("default_ttl", &inner.default_ttl).finish()
    }
}

delegate_state_backend!(EmbeddedStateBackend);

impl Store for FjallStore {
    const BACKEND: &'static str = BACKEND;
    type Value = Slice;

    fn get(&self, key: &[u8]) -> Result<Option<Slice>, StateError> {
        self.keyspace.get(key).map_err(state_error)
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StateError> {
        let mut batch = self.database.batch();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, key, value),
                None => batch.remove(&self.keyspace, key),
            }
        }
        batch.commit().map_err(state_error)
    }

    fn range(
        &self,
        start: &[u8],
        exclusive: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        let start = if exclusive { Bound::Excluded(start) } else { Bound::Included(start) };
        for entry in self.keyspace.range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) = entry.into_inner().map_err(state_error)?;
            if visit(&key, &value)? == Step::Stop {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncData).map_err(state_error)
    }

    fn needs_sweep(&self) -> bool {
        false
    }
}

/// Removes expired entries when files are merged.
struct DropExpired;

impl Factory for DropExpired {
    fn name(&self) -> &'static str {
        "drop_expired"
    }

    fn make_filter(&self, _context: &Context) -> Box<dyn CompactionFilter> {
        Box::new(ExpiryFilter { now_us: now_us() })
    }
}

struct ExpiryFilter {
    now_us: i64,
}

impl CompactionFilter for ExpiryFilter {
    fn filter_item(
        &mut self,
        item: ItemAccessor<'_>,
        _context: &Context,
    ) -> Result<Verdict, fjall::LsmError> {
        let value = item.value()?;
        // An entry of unknown form is kept: reading it reports the damage.
        let expired = Stored::decode(&value).is_ok_and(|it| it.value_at(self.now_us).is_none());
        Ok(if expired { Verdict::Remove } else { Verdict::Keep })
    }
}

fn open_error(path: &Path, error: fjall::Error) -> StateError {
    let shown = path.display();
    match error {
        fjall::Error::Locked => {
            let reason = format!("{shown} is open already: one process can use it at a time");
            StateError::Unavailable { backend: BACKEND, reason }
        }
        fjall::Error::Io(error) if error.kind() != ErrorKind::StorageFull => {
            let reason = format!("{shown} cannot be opened: {error}");
            StateError::Unavailable { backend: BACKEND, reason }
        }
        error => state_error(error),
    }
}

fn state_error(error: fjall::Error) -> StateError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            let reason = error.to_string();
            match error.kind() {
                ErrorKind::StorageFull => StateError::Full { backend: BACKEND, reason },
                _ => StateError::Unavailable { backend: BACKEND, reason },
            }
        }
        fjall::Error::Poisoned => StateError::Unavailable {
            backend: BACKEND,
            reason: "an earlier write failed: open the store again".into(),
        },
        fjall::Error::Locked => StateError::Unavailable {
            backend: BACKEND,
            reason: "another process has it open".into(),
        },
        error => StateError::Corrupt { backend: BACKEND, reason: error.to_string() },
    }
}
