//! Options of the PostgreSQL backend.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::state::StateError;
use crate::state::remote::{RemoteOptions, check_duration};

/// Checked options of a [`PostgresStateBackend`](super::PostgresStateBackend).
///
/// Its debug form shows the address, never the user or the password.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(super) connection: Config,
    pub(super) schema: String,
    pub(super) sweep_interval: Duration,
    pub(super) remote: RemoteOptions,
    roots: Option<RootCertStore>,
}

/// Options of a [`PostgresStateBackend`](super::PostgresStateBackend).
///
/// ```
/// use processor::state::PostgresConfig;
///
/// let config = PostgresConfig::builder().url("postgres://app:secret@db.internal/app").build()?;
/// assert!(format!("{config:?}").contains("db.internal:5432"));
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), processor::state::StateError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresConfigBuilder {
    schema: String,
    sweep_interval: Duration,
    remote: RemoteOptions,
}

impl PostgresConfig {
    /// Returns a builder with the defaults.
    pub fn builder() -> PostgresConfigBuilder {
        PostgresConfigBuilder {
            schema: "stream_processor".into(),
            sweep_interval: Duration::from_secs(60),
            remote: RemoteOptions::default(),
        }
    }

    /// Returns a connector that checks the server's certificate.
    pub(super) fn tls(&self) -> Result<MakeRustlsConnect, StateError> {
        let native = self.roots.is_none() && self.connection.get_ssl_mode() != SslMode::Disable;
        if native {
            // Fails if the program has installed a provider already, which is then used.
            let _ = rustls::crypto::ring::default_provider().install_default();
            if let Ok((connect, _)) = MakeRustlsConnect::with_native_certs() {
                return Ok(connect);
            }
        }
        let roots = self.roots.clone().unwrap_or_else(RootCertStore::empty);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StateError::option("url", error.to_string()))?;
        Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    /// Returns host and port.
    #[must_use]
    pub fn address(&self) -> String {
        let host = match self.connection.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".into(),
        };
        format!("{host}:{}", self.connection.get_ports().first().unwrap_or(&5432))
    }

    /// Replaces the password in a text of the server or of a library.
    pub(super) fn redact(&self, text: &str) -> String {
        let password = self.connection.get_password().unwrap_or_default();
        match std::str::from_utf8(password) {
            Ok(password) if !password.is_empty() => text.replace(password, "***"),
            _ => text.to_string(),
        }
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PostgresConfig");
        debug
            .field("address", &self.address())
            .field("database", &self.connection.get_dbname())
            .field("ssl_mode", &self.connection.get_ssl_mode())
            .field("schema", &self.schema)
            .field("sweep_interval", &self.sweep_interval);
        self.remote.add_fields(&mut debug);
        debug.finish()
    }
}

impl PostgresConfigBuilder {
    /// Sets the address: `postgres://user[:password]@host[:port]/database[?sslmode=require]`.
    /// Required.
    ///
    /// With `sslmode=prefer`, the default, TLS is used if the server offers it; its certificate is
    /// then checked. `sslmode=disable` never uses it.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.remote.url = Some(url.into());
        self
    }

    /// Sets the schema of the table `state`, letters, digits and underscores. It is created if it
    /// does not exist. Default: `stream_processor`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the ttl of `put`, and of `put_if_absent` without a ttl. Unset, such entries never
    /// expire.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.remote.default_ttl = Some(ttl);
        self
    }

    /// Sets the pause between two removals of expired rows. Default: 60 s.
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
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
    pub fn build(self) -> Result<PostgresConfig, StateError> {
        const FORM: &str =
            "must be postgres://user[:password]@host[:port]/database[?sslmode=require]";
        let wrong_url = || StateError::option("url", FORM);
        let url = self.remote.url.as_deref().ok_or_else(wrong_url)?;
        let mut connection: Config = url.parse().map_err(|_| wrong_url())?;
        connection.connect_timeout(self.remote.connect_timeout);
        if connection.get_application_name().is_none() {
            connection.application_name("stream-processor");
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(1..=63).contains(&self.schema.len()) || !self.schema.bytes().all(is_name) {
            let reason = "must be 1 to 63 letters, digits and underscores";
            return Err(StateError::option("schema", reason));
        }
        check_duration("sweep_interval", self.sweep_interval)?;
        self.remote.check()?;
        let roots = self.remote.root_certificate.as_deref().map(roots_of).transpose()?;
        let Self { schema, sweep_interval, remote } = self;
        Ok(PostgresConfig { connection, schema, sweep_interval, remote, roots })
    }
}

/// Reads the certificates of a PEM text.
fn roots_of(pem: &[u8]) -> Result<RootCertStore, StateError> {
    let wrong = || StateError::option("root_certificate", "must be certificates in PEM");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| wrong())?).map_err(|_| wrong())?;
    }
    if roots.is_empty() { Err(wrong()) } else { Ok(roots) }
}

impl fmt::Debug for PostgresConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PostgresConfigBuilder");
        debug.field("schema", &self.schema).field("sweep_interval", &self.sweep_interval);
        self.remote.add_fields(&mut debug);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_no_debug_form_and_no_error() {
        let builder = PostgresConfig::builder().url("postgres://me:hunter2@host:1/db");
        assert!(!format!("{builder:?}").contains("hunter2"));
        let config = builder.build().unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let wrong = PostgresConfig::builder().url("postgres://me:hunter2@host:port/db");
        assert!(!wrong.build().unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn wrong_options_are_named() {
        let valid = || PostgresConfig::builder().url("postgres://localhost/db");
        let wrong = [
            ("url", PostgresConfig::builder()),
            ("schema", valid().schema("a\"; DROP")),
            ("schema", valid().schema("")),
            ("pool_size", valid().pool_size(3, 2)),
            ("sweep_interval", valid().sweep_interval(Duration::ZERO)),
            ("default_ttl", valid().default_ttl(Duration::ZERO)),
            ("root_certificate", valid().root_certificate("nonsense")),
        ];
        for (name, builder) in wrong {
            let error = builder.build().unwrap_err();
            assert!(matches!(&error, StateError::InvalidOption { option, .. } if *option == name));
        }
    }
}
