//! Options of the Redis backend.

use std::fmt;
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::error::state_error;
use crate::state::StateError;
use crate::state::remote::RemoteOptions;

/// Checked options of a [`RedisStateBackend`](super::RedisStateBackend).
///
/// Its debug form shows the address, never the user or the password.
#[derive(Clone)]
pub struct RedisConfig {
    pub(super) connection: ConnectionInfo,
    pub(super) key_prefix: String,
    pub(super) remote: RemoteOptions,
}

/// Options of a [`RedisStateBackend`](super::RedisStateBackend).
///
/// ```
/// use processor::state::RedisConfig;
///
/// let config = RedisConfig::builder().url("redis://:secret@cache.internal:6379/2").build()?;
/// assert!(format!("{config:?}").contains("cache.internal:6379"));
/// assert!(!format!("{config:?}").contains("secret"));
///
/// let error = RedisConfig::builder().url("http://:secret@cache").build().unwrap_err();
/// assert_eq!(error.code(), "invalid_option");
/// assert!(!error.to_string().contains("secret"));
/// # Ok::<(), processor::state::StateError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisConfigBuilder {
    key_prefix: String,
    remote: RemoteOptions,
}

impl RedisConfig {
    /// Returns a builder with the defaults.
    pub fn builder() -> RedisConfigBuilder {
        RedisConfigBuilder { key_prefix: String::new(), remote: RemoteOptions::default() }
    }

    /// Returns host and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.connection.addr().to_string()
    }

    pub(super) fn client(&self) -> Result<Client, StateError> {
        let connection = self.connection.clone();
        let client = if matches!(connection.addr(), ConnectionAddr::TcpTls { .. }) {
            // Fails if the program has installed a provider already, which is then used.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let root_cert = self.remote.root_certificate.clone();
            Client::build_with_tls(connection, TlsCertificates { client_tls: None, root_cert })
        } else {
            Client::open(connection)
        };
        client.map_err(|error| state_error(self, error))
    }

    /// Replaces the password in a text of the server or of a library.
    pub(super) fn redact(&self, text: &str) -> String {
        let password = self.connection.redis_settings().password().unwrap_or_default();
        if password.is_empty() { text.to_string() } else { text.replace(password, "***") }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RedisConfig");
        debug
            .field("address", &format_args!("{}", self.connection.addr()))
            .field("tls", &matches!(self.connection.addr(), ConnectionAddr::TcpTls { .. }))
            .field("database", &self.connection.redis_settings().db())
            .field("key_prefix", &self.key_prefix);
        self.remote.add_fields(&mut debug);
        debug.finish()
    }
}

impl RedisConfigBuilder {
    /// Sets the address: `redis://[user[:password]@]host[:port][/database]`, or `rediss://` for
    /// TLS. Required.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.remote.url = Some(url.into());
        self
    }

    /// Sets a text that stands before every key on the server. Default: none.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Sets the ttl of `put`, and of `put_if_absent` without a ttl. Unset, such entries never
    /// expire.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.remote.default_ttl = Some(ttl);
        self
    }

    /// Sets how many connections are opened at the start, and the maximum. A call has a connection
    /// for itself; further calls wait for one. Default: 1 and 16.
    pub fn pool_size(mut self, min: u32, max: u32) -> Self {
        self.remote.pool_size = (min, max);
        self
    }

    /// Sets the maximum time for one attempt to connect. Default: 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.remote.connect_timeout = timeout;
        self
    }

    /// Sets the maximum time of a call, with waiting for a connection and reconnecting. Default:
    /// 5 s.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.remote.command_timeout = timeout;
        self
    }

    /// Sets the certificate of the authority that signed the server's, in PEM. Default: those of
    /// the operating system.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.remote.root_certificate = Some(pem.into());
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error that names the option that is wrong.
    pub fn build(self) -> Result<RedisConfig, StateError> {
        const FORM: &str = "must be redis://[user[:password]@]host[:port][/database], or rediss://";
        let wrong_url = || StateError::option("url", FORM);
        let url = self.remote.url.as_deref().ok_or_else(wrong_url)?;
        let connection = url.into_connection_info().map_err(|_| wrong_url())?;
        self.remote.check()?;
        Ok(RedisConfig { connection, key_prefix: self.key_prefix, remote: self.remote })
    }
}

impl fmt::Debug for RedisConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RedisConfigBuilder");
        debug.field("key_prefix", &self.key_prefix);
        self.remote.add_fields(&mut debug);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_no_debug_form() {
        let builder = RedisConfig::builder().url("rediss://me:hunter2@host:1/0");
        assert!(!format!("{builder:?}").contains("hunter2"));
        let config = builder.build().unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.redact("AUTH hunter2 failed"), "AUTH *** failed");
    }

    #[test]
    fn wrong_options_are_named() {
        let valid = || RedisConfig::builder().url("redis://localhost");
        let wrong = [
            ("url", RedisConfig::builder()),
            ("url", RedisConfig::builder().url("localhost:6379:secret")),
            ("pool_size", valid().pool_size(0, 0)),
            ("default_ttl", valid().default_ttl(Duration::ZERO)),
        ];
        for (name, builder) in wrong {
            let error = builder.build().unwrap_err();
            assert!(matches!(&error, StateError::InvalidOption { option, .. } if *option == name));
            assert!(!error.to_string().contains("secret"));
        }
    }
}
