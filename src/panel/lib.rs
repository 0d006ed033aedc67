//! The web application: profiles, jobs, pages and the API. Knows no tensors and no pids.

pub mod config;

pub use config::Config;
