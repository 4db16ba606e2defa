//! Errors of the module as JSON: what `sp_error` returns.

use serde::Deserialize;

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

/// Returns an error as JSON.
#[must_use]
pub fn encode_error(error: &Error) -> Vec<u8> {
    let mut json = serde_json::json!({ "code": error.code(), "message": error.to_string() });
    if let (Error::LimitReached(stop), Some(fields)) = (error, json.as_object_mut()) {
        let mut insert =
            |name: &str, value: serde_json::Value| fields.insert(name.to_owned(), value);
        insert("limit", stop.limit.into());
        insert("value", stop.value.into());
        insert("stage", stop.stage.into());
        insert("ordinal", stop.ordinal.into());
        insert("consumed", stop.consumed.into());
        insert("dropped", stop.dropped.into());
    }
    json.to_string().into_bytes()
}

/// Reads what [`encode_error`] wrote.
///
/// # Errors
/// [`Error::MalformedBlock`].
pub fn decode_error(json: &[u8]) -> Result<ReportedError, Error> {
    #[derive(Deserialize)]
    struct Reported {
        code: String,
        message: String,
        #[serde(flatten)]
        stop: Option<ReportedLimit>,
    }
    #[derive(Deserialize)]
    struct ReportedLimit {
        limit: String,
        value: u64,
        stage: u32,
        ordinal: u64,
        consumed: usize,
        dropped: bool,
    }
    let Reported { code, message, stop } = serde_json::from_slice(json)
        .map_err(|_| Error::MalformedBlock("the error is not the JSON that sp_error returns"))?;
    let limit_reached = stop.and_then(|stop| {
        let ReportedLimit { limit, value, stage, ordinal, consumed, dropped } = stop;
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
