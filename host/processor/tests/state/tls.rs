//! Encrypted connections: the server's certificate is checked, by an authority of the test's own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use processor::state::{
    PostgresConfig, PostgresStateBackend, RedisConfig, RedisStateBackend, StateBackend, StateError,
};
use tempfile::TempDir;

use crate::servers;

/// An authority, and the certificate that it has given to a server on 127.0.0.1.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them by the program openssl. They belong to the user that runs PostgreSQL.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let output = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(folder.path())
                .output()
                .expect("openssl is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let new = "req -newkey rsa:2048 -nodes -days 2";
        openssl(&format!("{new} -x509 -subj /CN=authority -keyout ca.key -out ca.pem"));
        openssl(&format!("{new} -subj /CN=server -keyout server.key -out server.csr"));
        std::fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
        openssl(
            "x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out \
             server.pem -extfile names",
        );
        if let Some((user, group)) = servers::postgres_user() {
            for path in [folder.path().to_path_buf(), folder.path().join("server.key")] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn authority(&self) -> Vec<u8> {
        std::fs::read(self.path("ca.pem")).unwrap()
    }
}

const CONNECT: Duration = Duration::from_secs(10);

async fn redis(url: &str, authority: Option<Vec<u8>>) -> Result<RedisStateBackend, StateError> {
    let config = RedisConfig::builder().url(url).connect_timeout(CONNECT);
    let config = match authority {
        Some(pem) => config.command_timeout(Duration::from_secs(60)).root_certificate(pem),
        None => config.command_timeout(Duration::from_secs(2)),
    };
    RedisStateBackend::new(config.build()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms_over_tls_and_checks_the_certificate() {
    let certificates = Certificates::new();
    let port = servers::free_port();
    let arguments = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", certificates.text("server.pem")),
        ("--tls-key-file", certificates.text("server.key")),
        ("--tls-ca-cert-file", certificates.text("ca.pem")),
        ("--tls-auth-clients", "no".into()),
    ];
    let arguments: Vec<&str> =
        arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]).collect();
    let Some(_server) = servers::redis(&arguments) else { return };
    let url = format!("rediss://127.0.0.1:{port}");
    let backend = redis(&url, Some(certificates.authority())).await.unwrap();
    crate::conformance::check_all(&(Arc::new(backend) as Arc<dyn StateBackend>)).await;
    // The operating system does not know the authority, and another one did not sign it.
    for authority in [None, Some(Certificates::new().authority())] {
        let error = redis(&url, authority).await.unwrap_err();
        assert!(error.to_string().contains("ertificate"), "{error}");
    }
    // A name that is not in the certificate.
    let other = format!("rediss://localhost:{port}");
    let error = redis(&other, Some(certificates.authority())).await.unwrap_err();
    assert!(error.to_string().contains("ertificate"), "{error}");
    // Without TLS, the port does not answer.
    assert!(redis(&format!("redis://127.0.0.1:{port}"), None).await.is_err());
}

async fn postgres(
    port: u16,
    mode: &str,
    authority: Option<Vec<u8>>,
) -> Result<PostgresStateBackend, StateError> {
    let config = PostgresConfig::builder()
        .url(format!("postgres://tester@127.0.0.1:{port}/postgres?sslmode={mode}"))
        .connect_timeout(CONNECT);
    let config = match authority {
        Some(pem) => config.command_timeout(Duration::from_secs(60)).root_certificate(pem),
        None => config.command_timeout(Duration::from_secs(2)),
    };
    PostgresStateBackend::new(config.build()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_conforms_over_tls_and_checks_the_certificate() {
    let certificates = Certificates::new();
    let certificate = format!("ssl_cert_file={}", certificates.text("server.pem"));
    let key = format!("ssl_key_file={}", certificates.text("server.key"));
    let Some(server) = servers::postgres(&["-c", "ssl=on", "-c", &certificate, "-c", &key]) else {
        return;
    };
    let backend = postgres(server.port, "require", Some(certificates.authority())).await.unwrap();
    crate::conformance::check_all(&(Arc::new(backend) as Arc<dyn StateBackend>)).await;
    // The server offers TLS, so it is used, and its certificate must be right.
    let preferred = postgres(server.port, "prefer", Some(certificates.authority())).await;
    preferred.unwrap();
    for mode in ["require", "prefer"] {
        for authority in [None, Some(Certificates::new().authority())] {
            let error = postgres(server.port, mode, authority).await.unwrap_err();
            assert!(error.to_string().contains("ertificate"), "{mode}: {error}");
        }
    }
}
