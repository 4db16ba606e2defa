//! The statements.

/// The server's clock, microseconds since 1970. `clock_timestamp` is the time of day, while `now`
/// is that of the start of the transaction.
const NOW: &str = "(extract(epoch from clock_timestamp()) * 1000000)::bigint";

/// The statements for one schema.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) create: String,
    pub(super) get: String,
    pub(super) put: String,
    pub(super) put_if_absent: String,
    pub(super) delete: String,
    pub(super) scan: String,
    pub(super) sweep: String,
}

impl Statements {
    /// Makes the statements for a schema, whose name consists of letters, digits and underscores.
    pub(super) fn new(schema: &str) -> Self {
        let table = format!("\"{schema}\".state");
        let alive = format!("(s.expires_us IS NULL OR s.expires_us > {NOW})");
        Self {
            // The lock: two sessions that create one schema at the same time would fail.
            create: format!(
                "BEGIN; SELECT pg_advisory_xact_lock(7310563541);
                 CREATE SCHEMA IF NOT EXISTS \"{schema}\";
                 CREATE TABLE IF NOT EXISTS {table} (
                     key bytea PRIMARY KEY, value bytea NOT NULL, expires_us bigint);
                 CREATE INDEX IF NOT EXISTS state_expires_us ON {table} (expires_us)
                     WHERE expires_us IS NOT NULL;
                 COMMIT"
            ),
            get: format!("SELECT s.value FROM {table} s WHERE s.key = $1 AND {alive}"),
            put: format!(
                "INSERT INTO {table} (key, value, expires_us) VALUES ($1, $2, $3 + {NOW})
                 ON CONFLICT (key) DO UPDATE
                     SET value = excluded.value, expires_us = excluded.expires_us"
            ),
            // Rows are locked in the order of keys, so that two batches never wait for each other.
            put_if_absent: format!(
                "WITH written AS (
                     INSERT INTO {table} AS s (key, value, expires_us)
                     SELECT i.key, i.value, $3 + {NOW}
                     FROM unnest($1, $2) AS i (key, value) ORDER BY i.key
                     ON CONFLICT (key) DO UPDATE
                         SET value = excluded.value, expires_us = excluded.expires_us
                         WHERE s.expires_us <= {NOW}
                     RETURNING s.key)
                 SELECT w.key IS NOT NULL, s.value
                 FROM unnest($1) WITH ORDINALITY AS i (key, place)
                     LEFT JOIN written w ON w.key = i.key
                     LEFT JOIN {table} s ON s.key = i.key AND {alive}
                 ORDER BY i.place"
            ),
            delete: format!("DELETE FROM {table} s WHERE s.key = $1 RETURNING {alive}"),
            scan: format!(
                "SELECT s.key, s.value FROM {table} s
                 WHERE s.key >= $1 AND ($2 IS NULL OR s.key > $2)
                     AND ($3 IS NULL OR s.key < $3) AND {alive}
                 ORDER BY s.key LIMIT $4"
            ),
            sweep: format!(
                "WITH swept AS (
                     DELETE FROM {table} WHERE key IN (
                         SELECT key FROM {table} WHERE expires_us <= {NOW}
                         LIMIT $1 FOR UPDATE SKIP LOCKED)
                     RETURNING 1)
                 SELECT count(*) FROM swept"
            ),
        }
    }
}
