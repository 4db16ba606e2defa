//! Errors of the PostgreSQL library as [`StateError`].

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::PostgresConfig;
use crate::state::StateError;

/// The kind of backend, for errors.
pub(super) const BACKEND: &str = "PostgreSQL";

/// Returns true if the statement was rolled back because of another transaction.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
    )
}

/// Converts an error. The password, if the text contains it, is replaced.
pub(super) fn state_error(config: &PostgresConfig, error: &Error) -> StateError {
    let at = |reason: String| {
        let reason = format!("{}: {}", config.address(), config.redact(&reason));
        StateError::Unavailable { backend: BACKEND, reason }
    };
    let Some(server) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return at(format!("{error}{cause}"));
    };
    let code = server.code().code();
    let reason = config.redact(&format!("{code} {}", server.message()));
    match code {
        // disk_full, out_of_memory
        "53100" | "53200" => StateError::Full { backend: BACKEND, reason },
        // read_only_sql_transaction: a standby
        "25006" => at(reason),
        // connection_exception, insufficient_resources, operator_intervention (server stops)
        _ if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => at(reason),
        _ if is_conflict(error) => at(reason),
        _ => StateError::Refused { backend: BACKEND, reason },
    }
}
