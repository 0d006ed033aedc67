//! The web application: profiles, jobs, galleries and the pages and API in front of them. Knows no tensors:
//! pictures come out of the engine child as finished files.

pub mod addresses;
pub mod app;
pub mod artifacts;
pub mod audit;
mod beneath;
pub mod boot;
pub mod clock;
pub mod config;
pub mod container_engine;
pub mod control;
pub mod datafolder;
pub mod datasets;
pub mod doors;
pub mod engine_client;
pub mod error;
pub mod events;
pub mod gate;
pub mod gpus;
pub mod jobs;
pub mod logins;
pub mod logs;
mod meant;
pub mod models;
pub mod notices;
pub mod origins;
pub mod outgoing;
pub mod pod;
pub mod secrets;
pub mod sessions;
pub mod sockets;
mod spool;
pub mod startup;
pub mod store;
pub mod system;
pub mod tools;
pub mod uids;
pub mod uploads;
pub mod users;
pub mod web;

pub use app::App;
pub use clock::Clock;
pub use config::Config;
pub use error::AppError;
pub use startup::Application;
