//! One integration binary: the walls of the house, the real server, real browsers. Knows no unit's insides.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and prints its figures")]
#![allow(clippy::disallowed_methods, reason = "tests start servers and browsers and read TESTS_LONG")]

mod binary;
mod boot;
mod browser;
mod comfy;
mod containers;
mod contract;
mod datasets;
mod doctor;
mod doors;
mod engine_kills;
mod engines;
mod full_disk;
mod full_size;
mod fuzz;
mod gpu;
mod image;
mod jobs_events;
mod jobs_survive;
mod measured;
mod model_sets;
mod paths;
mod pod;
mod program;
mod references;
mod setup;
mod supervise;
mod terminal;
mod tidy;
mod tool_folder;
mod volume;
