//! PostgreSQL behind pgbouncer, which gives each transaction another connection.

use std::sync::Arc;
use std::time::Duration;

use processor::state::{PostgresConfig, PostgresStateBackend, StateBackend};

use crate::servers;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_conforms_behind_pgbouncer() {
    let Some(server) = servers::postgres(&[]) else { return };
    // Fewer connections than callers, so that transactions of different callers share them.
    let Some(pooler) = servers::pgbouncer(&server, 3) else { return };
    let config = PostgresConfig::builder()
        .url(format!("postgres://tester@127.0.0.1:{}/postgres?sslmode=disable", pooler.port))
        .pool_size(1, 16)
        .connect_timeout(Duration::from_secs(10))
        .command_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let backend: Arc<dyn StateBackend> = Arc::new(PostgresStateBackend::new(config).await.unwrap());
    crate::conformance::check_all(&backend).await;
}
