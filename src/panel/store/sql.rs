//! Every SQL text of Easel, as named constants. Knows no types.

/// The numbered steps of the schema.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// Step that this store is at.
pub(super) const VERSION: &str = "PRAGMA user_version";
/// Settings on a local disk.
pub(super) const LOCAL: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000;";
/// Settings on a network file system, where shared memory and locks cannot be trusted.
pub(super) const NETWORK: &str = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; \
     PRAGMA cache_size = -8000;";
/// "ok", or what is damaged.
pub(super) const CHECK: &str = "PRAGMA quick_check(5)";
/// A consistent copy into a file that does not exist yet.
pub(super) const COPY: &str = "VACUUM INTO ?1";
