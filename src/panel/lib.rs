//! The web application: profiles, jobs, galleries and the pages and API in front of them. Knows no tensors:
//! pictures come out of the engine child as finished files.

pub mod app;
pub mod artifacts;
mod beneath;
pub mod boot;
pub mod clock;
pub mod config;
pub mod control;
pub mod datafolder;
pub mod doors;
pub mod engine_client;
pub mod error;
pub mod events;
pub mod jobs;
pub mod logins;
pub mod origins;
pub mod secrets;
pub mod startup;
pub mod store;
pub mod uploads;
pub mod users;
pub mod web;

pub use app::App;
pub use clock::Clock;
pub use config::Config;
pub use error::AppError;
pub use startup::Application;
