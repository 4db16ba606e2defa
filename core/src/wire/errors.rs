//! Errors of the module as JSON: what `sp_error` returns.

use serde::{Deserialize, Serialize};

use crate::error::{Error, LimitReached};

/// An error that the module reported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportedError {
    /// The code of the error, see [`Error::code`].
    pub code: String,
    /// The message of the error.
    pub message: String,
    /// The limit that ended the call, after [`Error::LimitReached`].
    pub limit_reached: Option<LimitReached>,
}

/// The JSON of an error.
#[derive(Serialize, Deserialize)]
struct ErrorJson {
    code: String,
    message: String,
    #[serde(flatten)]
    stop: Option<LimitJson>,
}

/// The members of a limit that ended a call.
#[derive(Serialize, Deserialize)]
struct LimitJson {
    limit: String,
    value: u64,
    stage: u32,
    ordinal: u64,
    consumed: usize,
    dropped: bool,
}

/// Returns an error as JSON.
#[must_use]
pub fn encode_error(error: &Error) -> Vec<u8> {
    let stop = match *error {
        Error::LimitReached(stop) => {
            let LimitReached { limit, value, stage, ordinal, consumed, dropped } = stop;
            Some(LimitJson { limit: limit.to_owned(), value, stage, ordinal, consumed, dropped })
        }
        _ => None,
    };
    let json = ErrorJson { code: error.code().to_owned(), message: error.to_string(), stop };
    serde_json::to_vec(&json).unwrap_or_default()
}

/// Reads what [`encode_error`] wrote.
///
/// # Errors
/// [`Error::MalformedBlock`].
pub fn decode_error(json: &[u8]) -> Result<ReportedError, Error> {
    let ErrorJson { code, message, stop } = serde_json::from_slice(json)
        .map_err(|_| Error::MalformedBlock("the error is not the JSON that sp_error returns"))?;
    let limit_reached = stop.and_then(|stop| {
        let LimitJson { limit, value, stage, ordinal, consumed, dropped } = stop;
        let limit = LimitReached::known_limit(&limit)?;
        Some(LimitReached { limit, value, stage, ordinal, consumed, dropped })
    });
    Ok(ReportedError { code, message, limit_reached })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_keeps_its_fields() {
        let stop = LimitReached {
            limit: "max_keys",
            value: 2,
            stage: 1,
            ordinal: 7,
            consumed: 3,
            dropped: true,
        };
        let error = Error::LimitReached(stop);
        let reported = decode_error(&encode_error(&error)).unwrap();
        assert_eq!((&*reported.code, reported.message), (error.code(), error.to_string()));
        assert_eq!(reported.limit_reached, Some(stop));
    }

    #[test]
    fn other_errors_have_no_limit() {
        let reported = decode_error(&encode_error(&Error::Finished)).unwrap();
        assert_eq!((&*reported.code, reported.limit_reached), ("finished", None));
        assert!(decode_error(b"{}").is_err());
    }
}
