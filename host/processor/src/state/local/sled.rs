//! The backend over sled.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Change, LocalBackend, Step, Store, Visit, delegate_state_backend};
use crate::state::StateError;

const BACKEND: &str = "sled";

/// A backend in a folder of the own machine, by sled 0.34.
///
/// A write is on disk before it is acknowledged: it survives a crash and a power failure. One
/// process can open the folder at a time. Calls need a tokio runtime.
///
/// After a write that failed, as on a full disk, further calls return an error until the program is
/// started again: sled cannot continue, and keeps the folder locked.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use processor::state::{SledStateBackend, StateBackend};
/// use std::time::Duration;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("dedup.db");
/// let backend = SledStateBackend::new(&path)?.with_default_ttl(Duration::from_secs(3600));
/// backend.put(b"order-17", b"1").await?;
/// drop(backend);
///
/// let backend = SledStateBackend::new(&path)?;
/// assert_eq!(backend.get(b"order-17").await?.as_deref(), Some(b"1".as_slice()));
/// # Ok::<(), processor::state::StateError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SledStateBackend {
    inner: LocalBackend<SledStore>,
    path: PathBuf,
}

struct SledStore {
    tree: sled::Db,
    /// Set by the first write that failed. sled waits forever in later ones.
    has_failed: AtomicBool,
}

impl SledStore {
    /// Runs a write, unless an earlier one failed.
    fn try_write<T>(&self, write: impl FnOnce() -> sled::Result<T>) -> Result<T, StateError> {
        if self.has_failed.load(Ordering::Acquire) {
            let reason = "an earlier write failed: start the program again".into();
            return Err(StateError::Unavailable { backend: BACKEND, reason });
        }
        write().map_err(|error| {
            self.has_failed.store(true, Ordering::Release);
            state_error(error)
        })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if self.has_failed.load(Ordering::Acquire) {
            // sled flushes when its last handle is dropped, and would wait forever there too.
            std::mem::forget(self.tree.clone());
        }
    }
}

impl SledStateBackend {
    /// Opens the folder at `path`, and creates it if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be used, or if another process has it open.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref().to_path_buf();
        // Without sled's own timer: each batch is flushed before it is acknowledged.
        let tree = sled::Config::new().path(&path).flush_every_ms(None).open();
        let tree = tree.map_err(|error| open_error(&path, error))?;
        Ok(Self {
            inner: LocalBackend::new(SledStore { tree, has_failed: AtomicBool::new(false) }),
            path,
        })
    }

    /// Sets the ttl of [`put`](crate::state::StateBackend::put), and of `put_if_absent` without a
    /// ttl. Unset, such entries never expire.
    #[must_use]
    pub fn with_default_ttl(mut self, ttl: Duration) -> Self {
        self.inner.default_ttl = Some(ttl);
        self
    }
}

impl fmt::Debug for SledStateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, path } = self;
        let mut debug = f.debug_struct("SledStateBackend");
        debug.field("path", path).field("default_ttl", &inner.default_ttl).finish()
    }
}

delegate_state_backend!(SledStateBackend);

impl Store for SledStore {
    const BACKEND: &'static str = BACKEND;
    type Value = sled::IVec;

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StateError> {
        self.tree.get(key).map_err(state_error)
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StateError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.try_write(|| self.tree.apply_batch(batch))
    }

    fn range(
        &self,
        start: &[u8],
        exclusive: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        let start = if exclusive { Bound::Excluded(start) } else { Bound::Included(start) };
        for entry in self.tree.range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) = entry.map_err(state_error)?;
            if visit(&key, &value)? == Step::Stop {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StateError> {
        self.try_write(|| self.tree.flush()).map(drop)
    }

    fn needs_sweep(&self) -> bool {
        true
    }
}

fn open_error(path: &Path, error: sled::Error) -> StateError {
    let shown = path.display();
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            let reason = format!("{shown} is open already: one process can use it at a time");
            StateError::Unavailable { backend: BACKEND, reason }
        }
        sled::Error::Io(error) if error.kind() != ErrorKind::StorageFull => {
            let reason = format!("{shown} cannot be opened: {error}");
            StateError::Unavailable { backend: BACKEND, reason }
        }
        error => state_error(error),
    }
}

fn state_error(error: sled::Error) -> StateError {
    match error {
        sled::Error::Io(error) if error.kind() == ErrorKind::StorageFull => {
            StateError::Full { backend: BACKEND, reason: error.to_string() }
        }
        // sled repeats the first error of its writer as text.
        sled::Error::Io(error) if error.to_string().contains("StorageFull") => {
            StateError::Full { backend: BACKEND, reason: "no space left on the device".into() }
        }
        sled::Error::Io(error) => {
            StateError::Unavailable { backend: BACKEND, reason: error.to_string() }
        }
        sled::Error::Corruption { .. } => {
            StateError::Corrupt { backend: BACKEND, reason: "a checksum is wrong".into() }
        }
        error => StateError::Refused { backend: BACKEND, reason: error.to_string() },
    }
}
