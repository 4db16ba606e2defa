//! The stores: their checked options, and how they are opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "postgres")]
use processor::state::{PostgresConfig, PostgresStateBackend};
#[cfg(feature = "redis")]
use processor::state::{RedisConfig, RedisStateBackend};
use processor::state::{StateBackend, StateError};
use stream_processor_core::SpecError;
use stream_processor_core::spec::{SharedStore, StoreType};

use crate::error::Error;

/// The path of the options in error messages.
const PATH: &str = "stages[0].shared";

/// The checked options of a store.
#[derive(Debug, Clone)]
pub(super) enum StoreConfig {
    #[cfg(feature = "redis")]
    Redis(RedisConfig),
    #[cfg(feature = "postgres")]
    Postgres(PostgresConfig),
    #[cfg(feature = "embedded")]
    Embedded(PathBuf),
    #[cfg(feature = "sled")]
    Sled(PathBuf),
}

/// An open store, and what endangers its entries.
pub(super) struct OpenStore {
    pub(super) backend: Arc<dyn StateBackend>,
    pub(super) warnings: Vec<String>,
}

/// Sets the options that all servers have. The builders are different types with the same methods.
#[cfg(any(feature = "redis", feature = "postgres"))]
macro_rules! with_server_options {
    ($builder:expr, $shared:expr) => {{
        let mut builder = $builder.url($shared.url.clone().unwrap_or_default());
        if let Some(timeout) = $shared.connect_timeout {
            builder = builder.connect_timeout(std_duration(timeout));
        }
        if let Some(timeout) = $shared.command_timeout {
            builder = builder.command_timeout(std_duration(timeout));
        }
        if let Some(pem) = root_certificate($shared)? {
            builder = builder.root_certificate(pem);
        }
        builder
    }};
}

impl StoreConfig {
    /// Checks the options of a store. Connects to no server and opens no folder.
    pub(super) fn new(shared: &SharedStore) -> Result<Self, SpecError> {
        match shared.r#type {
            #[cfg(feature = "redis")]
            StoreType::Redis => {
                let builder = RedisConfig::builder().pool_size(1, 1);
                with_server_options!(builder, shared).build().map(Self::Redis).map_err(invalid)
            }
            #[cfg(feature = "postgres")]
            StoreType::Postgres => {
                // One connection for the marks, one for the removal of expired rows.
                let mut builder = PostgresConfig::builder().pool_size(1, 2);
                if let Some(schema) = &shared.schema {
                    builder = builder.schema(schema);
                }
                with_server_options!(builder, shared).build().map(Self::Postgres).map_err(invalid)
            }
            #[cfg(feature = "embedded")]
            StoreType::Embedded => Ok(Self::Embedded(path(shared))),
            #[cfg(feature = "sled")]
            StoreType::Sled => Ok(Self::Sled(path(shared))),
            #[allow(unreachable_patterns, reason = "with all features, every type has its store")]
            _ => {
                let message = "this program was built without the feature of this store";
                Err(SpecError::new(format!("{PATH}.type"), message))
            }
        }
    }

    /// Returns the name of the store for messages, without user and password.
    pub(super) fn name(&self) -> String {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(config) => format!("Redis at {}", config.address()),
            #[cfg(feature = "postgres")]
            Self::Postgres(config) => format!("PostgreSQL at {}", config.address()),
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => format!("the embedded store in {}", path.display()),
            #[cfg(feature = "sled")]
            Self::Sled(path) => format!("the sled store in {}", path.display()),
        }
    }

    /// Connects to the server, or opens the folder.
    pub(super) async fn open(&self) -> Result<OpenStore, StateError> {
        let mut warnings = Vec::new();
        let backend: Arc<dyn StateBackend> = match self {
            #[cfg(feature = "redis")]
            Self::Redis(config) => {
                let backend = RedisStateBackend::new(config.clone()).await?;
                warnings.extend(backend.warnings().await?);
                Arc::new(backend)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(config) => Arc::new(PostgresStateBackend::new(config.clone()).await?),
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => Arc::new(processor::state::EmbeddedStateBackend::new(path)?),
            #[cfg(feature = "sled")]
            Self::Sled(path) => Arc::new(processor::state::SledStateBackend::new(path)?),
        };
        for warning in &mut warnings {
            *warning = format!("{PATH}: {}: {warning}", self.name());
        }
        Ok(OpenStore { backend, warnings })
    }
}

/// Returns the error of an option that the store has found to be wrong.
fn invalid(error: StateError) -> SpecError {
    match error {
        StateError::InvalidOption { option, reason } => {
            SpecError::new(format!("{PATH}.{option}"), reason)
        }
        error => SpecError::new(PATH, error.to_string()),
    }
}

/// Reads the certificate that the options name.
fn root_certificate(shared: &SharedStore) -> Result<Option<Vec<u8>>, SpecError> {
    let Some(path) = &shared.root_certificate else { return Ok(None) };
    std::fs::read(path).map(Some).map_err(|error| {
        let message = Error::read(path, error).to_string();
        SpecError::new(format!("{PATH}.root_certificate"), message)
    })
}

fn path(shared: &SharedStore) -> PathBuf {
    PathBuf::from(shared.path.as_deref().unwrap_or_default())
}

/// Returns a duration of the pipeline as the standard library has it; zero for a negative one.
pub(super) fn std_duration(duration: stream_processor_core::spec::Duration) -> Duration {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or_default())
}
