//! The task that removes expired rows.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::session::Session;
use super::sql::Statements;
use crate::state::StateError;
use crate::state::remote::Repeat;

/// Rows that one statement removes. A statement takes some milliseconds then, and its locks do not
/// hold up writers.
const ROWS: i64 = 5000;

/// Removes expired rows at each interval until the task is aborted. Processes that share a table
/// share the work: locked rows are skipped.
pub(super) async fn run(session: Arc<Session>, sql: Arc<Statements>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        while let Ok(removed) = sweep(&session, &sql).await {
            if removed < ROWS {
                break;
            }
        }
    }
}

async fn sweep(session: &Session, sql: &Statements) -> Result<i64, StateError> {
    let rows = session.query(&sql.sweep, &[(&ROWS, Type::INT8)], Repeat::Safe).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(0))
}
