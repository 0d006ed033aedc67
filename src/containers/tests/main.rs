//! Containers on a real engine: Debian's dockerd, started by the tests themselves. Where none can run, each says so and passes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says why it was skipped")]
#![allow(clippy::disallowed_methods, reason = "tests start an engine and its command line")]

mod dockerd;
mod engine;
mod fake;
mod hung;
mod orphans;
mod pull;
mod registry;
mod restarts;
mod secrets;
mod studio;
mod terminal;
mod tool;
mod update;
mod work;
