//! Errors of the Redis library as [`StateError`].

use redis::RedisError;

use super::RedisConfig;
use crate::state::StateError;

/// The kind of backend, for errors.
pub(super) const BACKEND: &str = "Redis";

/// Converts an error. The password, if the text contains it, is replaced.
pub(super) fn state_error(config: &RedisConfig, error: RedisError) -> StateError {
    let (code, detail) = match error.clone().into_server_errors() {
        Some(errors) => {
            let first = errors.first().map(|(_, error)| error);
            let code = first.map(|error| error.code().to_string());
            (code, first.and_then(|error| error.details()).map(String::from))
        }
        None => (error.code().map(String::from), error.detail().map(String::from)),
    };
    let text = match (&code, detail) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.clone(),
        (None, _) => error.to_string(),
    };
    let reason = config.redact(&text);
    let at = |reason| format!("{}: {reason}", config.connection.addr());
    match code.as_deref() {
        Some("OOM") => StateError::Full { backend: BACKEND, reason },
        Some(
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "READONLY" | "MISCONF",
        ) => StateError::Unavailable { backend: BACKEND, reason: at(reason) },
        Some(_) => StateError::Refused { backend: BACKEND, reason },
        None if error.is_io_error() || error.is_connection_dropped() => {
            StateError::Unavailable { backend: BACKEND, reason: at(reason) }
        }
        None => StateError::Refused { backend: BACKEND, reason },
    }
}
