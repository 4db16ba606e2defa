//! The open store of a run: checks identities, batch by batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use processor::deduplication::{Seen, SharedDeduplicator};
use processor::state::{StateBackend, StateError};
use stream_processor_core::spec::OnUnavailable;
use stream_processor_core::{FOUND_DUPLICATE, FOUND_NEW, Identity, NO_IDENTITY};
use tokio::runtime::Runtime;

use super::{ReplayableInput, RunToken, SharedStage};
use crate::error::Error;

/// After a failed attempt, events pass unchecked for at least this time before the store is tried
/// again, and for at least ten times as long as the attempt took. Otherwise each batch would wait
/// for the time-out.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The shared store of a run.
pub(crate) struct SharedDedup {
    stage: SharedStage,
    input: ReplayableInput,
    /// The store, once it was reached.
    store: Option<Store>,
    /// The time before which the store is not tried again.
    retry_at: Option<Instant>,
    warnings: Vec<String>,
    /// Drives the connections. Declared last, because the store must be closed first.
    runtime: Runtime,
}

struct Store {
    backend: Arc<dyn StateBackend>,
    seen: SharedDeduplicator,
    token: RunToken,
}

impl SharedDedup {
    /// Opens the store of `stage`.
    ///
    /// # Errors
    /// [`Error::SharedStore`] if the store refuses, or is away and the stage is strict.
    pub(crate) fn open(stage: &SharedStage, input: ReplayableInput) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("shared-store")
            .enable_all()
            .build()
            .map_err(|source| Error::ThreadStart { name: "shared-store", source })?;
        let mut dedup = Self {
            stage: stage.clone(),
            input,
            store: None,
            retry_at: None,
            warnings: Vec::new(),
            runtime,
        };
        let start = Instant::now();
        match dedup.connect() {
            Err(error) if dedup.may_pass_unchecked(&error) => dedup.pause(&error, start),
            result => result?,
        }
        Ok(dedup)
    }

    /// Returns the messages about the store since the last call.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Returns the index of the identity column of the stage.
    pub(crate) fn column(&self) -> usize {
        self.stage.column()
    }

    /// Replaces each identity by the verdict on its event, in order, with one round trip. `lines`
    /// are the numbers of their lines over all inputs. Returns the number of events that pass
    /// unchecked.
    ///
    /// # Errors
    /// [`Error::SharedStore`] if the store fails and the stage is strict.
    pub(crate) fn check(
        &mut self,
        identities: &mut [Identity],
        lines: &[u64],
    ) -> Result<u64, Error> {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Ok(pass_unchecked(identities));
        }
        let start = Instant::now();
        match self.try_check(identities, lines) {
            Ok(verdicts) => {
                self.retry_at = None;
                for (identity, seen) in identities.iter_mut().zip(verdicts) {
                    *identity = match seen {
                        Seen::New | Seen::Unchecked => FOUND_NEW,
                        Seen::Duplicate => FOUND_DUPLICATE,
                        Seen::Unidentified => NO_IDENTITY,
                    };
                }
                Ok(0)
            }
            Err(error) if self.may_pass_unchecked(&error) => {
                self.pause(&error, start);
                Ok(pass_unchecked(identities))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a complete run: the same input is another delivery from now on.
    ///
    /// # Errors
    /// [`Error::SharedStore`] if the store fails and the stage is strict.
    pub(crate) fn complete(&self) -> Result<(), Error> {
        let Some(Store { backend, token, .. }) = &self.store else { return Ok(()) };
        match self.runtime.block_on(token.remove(&**backend)) {
            Err(error) if self.may_pass_unchecked(&error) => Ok(()),
            result => Ok(result?),
        }
    }

    fn connect(&mut self) -> Result<(), StateError> {
        let Self { stage, input, warnings, runtime, .. } = self;
        let store = runtime.block_on(async {
            let opened = stage.store.open().await?;
            warnings.extend(opened.warnings);
            let backend = opened.backend;
            let token = RunToken::claim(&*backend, &stage.key_prefix, input).await?;
            let mut builder = SharedDeduplicator::builder(Arc::clone(&backend))
                .strategies(stage.strategies.iter().cloned())
                .key_prefix(&*stage.key_prefix);
            if let Some(ttl) = stage.ttl {
                builder = builder.ttl(ttl);
            }
            Ok::<_, StateError>(Store { seen: builder.build()?, backend, token })
        })?;
        self.store = Some(store);
        Ok(())
    }

    fn try_check(
        &mut self,
        identities: &[Identity],
        lines: &[u64],
    ) -> Result<Vec<Seen>, StateError> {
        if self.store.is_none() {
            self.connect()?;
        }
        let Some(Store { seen, token, .. }) = &self.store else { return Ok(Vec::new()) };
        let positions: Vec<[u8; 16]> = lines.iter().map(|line| token.position(*line)).collect();
        let positions: Vec<&[u8]> = positions.iter().map(<[u8; 16]>::as_slice).collect();
        self.runtime.block_on(seen.check_identities(identities, &positions))
    }

    fn may_pass_unchecked(&self, error: &StateError) -> bool {
        self.stage.on_unavailable == OnUnavailable::BestEffort && error.is_temporary()
    }

    /// Reports the first of several failures, and stops asking for a while. The failed attempt began
    /// at `start`.
    fn pause(&mut self, error: &StateError, start: Instant) {
        if self.retry_at.is_none() {
            self.warnings.push(format!("stages[0].shared: {error}; events pass unchecked"));
        }
        self.retry_at = Some(Instant::now() + MIN_PAUSE.max(start.elapsed() * 10));
    }
}

/// Passes all events that have an identity, and returns their number.
fn pass_unchecked(identities: &mut [Identity]) -> u64 {
    let mut count = 0;
    for identity in identities.iter_mut().filter(|identity| **identity != NO_IDENTITY) {
        *identity = FOUND_NEW;
        count += 1;
    }
    count
}
