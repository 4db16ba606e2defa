//! Options of every backend over a server.

use std::fmt::DebugStruct;
use std::time::Duration;

use crate::state::StateError;
use crate::state::contract::ttl_ms;

/// The largest pool that can be set. Servers refuse far fewer connections.
const MAX_CONNECTIONS: u32 = 10_000;

/// The address, the ttl, and the limits of connections and calls.
#[derive(Clone)]
pub(in crate::state) struct RemoteOptions {
    /// With the password, so it is not part of the debug form.
    pub(in crate::state) url: Option<String>,
    pub(in crate::state) default_ttl: Option<Duration>,
    /// The minimum and the maximum of connections.
    pub(in crate::state) pool_size: (u32, u32),
    pub(in crate::state) connect_timeout: Duration,
    pub(in crate::state) command_timeout: Duration,
    /// Certificates in PEM.
    pub(in crate::state) root_certificate: Option<Vec<u8>>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            url: None,
            default_ttl: None,
            pool_size: (1, 16),
            connect_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_secs(5),
            root_certificate: None,
        }
    }
}

impl RemoteOptions {
    /// Checks all options except the form of the URL and of the certificates.
    ///
    /// # Errors
    /// Returns an error that names the option that is wrong.
    pub(in crate::state) fn check(&self) -> Result<(), StateError> {
        let (min, max) = self.pool_size;
        if !(1..=MAX_CONNECTIONS).contains(&max) || min > max {
            let reason = format!("max must be 1 to {MAX_CONNECTIONS}, and at least min");
            return Err(StateError::option("pool_size", reason));
        }
        check_duration("connect_timeout", self.connect_timeout)?;
        check_duration("command_timeout", self.command_timeout)?;
        if let Some(ttl) = self.default_ttl {
            ttl_ms(ttl).map_err(|_| StateError::option("default_ttl", "must be longer than 0"))?;
        }
        Ok(())
    }

    /// Returns how many connections are opened at the start, at least one.
    pub(in crate::state) fn first_connections(&self) -> u32 {
        self.pool_size.0.max(1)
    }

    /// Returns the maximum of connections.
    pub(in crate::state) fn max_connections(&self) -> usize {
        self.pool_size.1 as usize
    }

    /// Adds the options without secrets to a debug form.
    pub(in crate::state) fn add_fields(&self, debug: &mut DebugStruct<'_, '_>) {
        debug
            .field("default_ttl", &self.default_ttl)
            .field("pool_size", &self.pool_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout);
    }
}

/// Checks that a duration is longer than zero.
pub(in crate::state) fn check_duration(
    option: &'static str,
    duration: Duration,
) -> Result<(), StateError> {
    if duration.is_zero() {
        return Err(StateError::option(option, "must be longer than 0"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_named() {
        let wrong = [
            ("pool_size", RemoteOptions { pool_size: (0, 0), ..Default::default() }),
            ("pool_size", RemoteOptions { pool_size: (3, 2), ..Default::default() }),
            ("pool_size", RemoteOptions { pool_size: (1, u32::MAX), ..Default::default() }),
            (
                "connect_timeout",
                RemoteOptions { connect_timeout: Duration::ZERO, ..Default::default() },
            ),
            (
                "command_timeout",
                RemoteOptions { command_timeout: Duration::ZERO, ..Default::default() },
            ),
            (
                "default_ttl",
                RemoteOptions { default_ttl: Some(Duration::ZERO), ..Default::default() },
            ),
        ];
        for (name, options) in wrong {
            let error = options.check().unwrap_err();
            assert!(matches!(&error, StateError::InvalidOption { option, .. } if *option == name));
        }
        assert_eq!(RemoteOptions::default().check(), Ok(()));
    }
}
