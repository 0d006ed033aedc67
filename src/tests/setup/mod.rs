//! The folders of tools: checked as text, and their scripts run for real, against small repositories, packages and
//! servers that a test makes. Knows the contract of `setup/README.md`; nothing of the panel.

mod check;
mod downloads;
mod interrupted;
mod jupyter;
mod reinstalled;
mod scripts;
pub(crate) mod server;
mod world;
