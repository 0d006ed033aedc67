//! One integration binary: the walls of the house, the real server, real browsers. Knows no unit's insides.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and prints its figures")]
#![allow(clippy::disallowed_methods, reason = "tests start servers and browsers and read EASEL_TEST_LONG")]

mod browser;
mod contract;
mod doors;
mod engine_kills;
mod full_disk;
mod fuzz;
mod jobs_events;
mod jobs_survive;
mod load;
mod paths;
mod program;
mod references;
mod tidy;
