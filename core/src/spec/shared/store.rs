//! The options of `shared`.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::spec::{Duration, SpecError};

/// `shared` of a `dedup` stage: the store of identities that several processes share, or that
/// survives a restart of one process.
///
/// Its debug form does not show `url`, which may contain a password.
/// ```
/// use stream_processor_core::spec::{OnUnavailable, SharedStore};
/// let options: SharedStore = serde_json::from_str(r#"{"type": "redis", "url": "redis://:secret@cache"}"#)?;
/// assert_eq!((&*options.key_prefix, options.on_unavailable), ("dedup:", OnUnavailable::Strict));
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SharedStore {
    /// The kind of store.
    pub r#type: StoreType,
    /// For `redis` and `postgres`: the address of the server, such as
    /// `redis://:${PASSWORD}@host:6379/0`, `rediss://host` for TLS, or
    /// `postgres://user:${PASSWORD}@host/database`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// For `embedded` and `sled`: the folder of the store. One process can use it at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The text that stands before every key in the store. Stages with the same store and
    /// prefix share identities.
    #[serde(default = "default_key_prefix")]
    pub key_prefix: String,
    /// For `postgres`: the schema of the table; default: `stream_processor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// For `redis` and `postgres`: a PEM file with the certificate of the authority that signed
    /// the server's; default: those of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_certificate: Option<String>,
    /// For `redis` and `postgres`: the maximum time of an attempt to connect; default: 2 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// For `redis` and `postgres`: the maximum time that a batch waits for the server, with
    /// reconnecting; default: 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_timeout: Option<Duration>,
    /// The treatment of events while the store is unavailable, slow or full.
    #[serde(default)]
    pub on_unavailable: OnUnavailable,
    /// The name of this process, which must be the same after a restart and different from
    /// those of all other processes that share the store. Default: the host and the paths of
    /// the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

/// The kind of a shared store.
/// ```
/// use stream_processor_core::spec::StoreType;
/// assert_eq!(serde_json::from_str::<StoreType>(r#""sled""#)?, StoreType::Sled);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StoreType {
    /// A Redis server, 7.0 or later.
    Redis,
    /// A PostgreSQL server.
    Postgres,
    /// A folder on this machine, by fjall.
    Embedded,
    /// A folder on this machine, by sled.
    Sled,
}

/// The treatment of events while a shared store is unavailable.
/// ```
/// use stream_processor_core::spec::OnUnavailable;
/// assert_eq!(serde_json::from_str::<OnUnavailable>(r#""best_effort""#)?, OnUnavailable::BestEffort);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// The run ends with an error. No duplicate passes.
    #[default]
    Strict,
    /// Events pass unchecked, and are counted. Duplicates may pass.
    BestEffort,
}

fn default_key_prefix() -> String {
    "dedup:".to_owned()
}

impl SharedStore {
    /// Checks that the options are those of the type.
    pub(in crate::spec) fn check(&self, path: &str) -> Result<(), SpecError> {
        let is_server = matches!(self.r#type, StoreType::Redis | StoreType::Postgres);
        let is_postgres = self.r#type == StoreType::Postgres;
        let servers = "\"redis\" and \"postgres\"";
        let folders = "\"embedded\" and \"sled\"";
        let options = [
            ("url", self.url.is_some(), is_server, servers),
            ("path", self.path.is_some(), !is_server, folders),
            ("schema", self.schema.is_some(), is_postgres, "\"postgres\""),
            ("root_certificate", self.root_certificate.is_some(), is_server, servers),
            ("connect_timeout", self.connect_timeout.is_some(), is_server, servers),
            ("command_timeout", self.command_timeout.is_some(), is_server, servers),
        ];
        for (name, is_set, fits, types) in options {
            if is_set && !fits {
                let message = format!("is for the types {types} only: remove it");
                return Err(SpecError::new(format!("{path}.{name}"), message));
            }
        }
        let (needed, is_set, what) = if is_server {
            ("url", self.url.is_some(), "the address of the server")
        } else {
            ("path", self.path.is_some(), "the folder of the store")
        };
        if !is_set {
            let message = format!("missing: {what}");
            return Err(SpecError::new(format!("{path}.{needed}"), message));
        }
        let texts = [("path", &self.path), ("reader", &self.reader)];
        if let Some((name, _)) =
            texts.iter().find(|(_, text)| text.as_ref().is_some_and(String::is_empty))
        {
            return Err(SpecError::new(format!("{path}.{name}"), "empty: expected a name"));
        }
        Ok(())
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStore")
            .field("type", &self.r#type)
            .field("path", &self.path)
            .field("key_prefix", &self.key_prefix)
            .field("on_unavailable", &self.on_unavailable)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
