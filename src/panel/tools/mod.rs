//! Tools beside the studio: what a folder of `setup/` says about one, what its scripts get and print, where it stands and
//! what is done with it. Knows neither pages nor connections.

mod catalogue;
mod change;
mod choices;
mod contained;
mod container;
pub mod contract;
mod embedded;
mod ending;
mod health;
mod id;
mod image;
mod keys;
mod left;
pub mod lines;
mod lint;
mod look;
mod ports;
mod pulse;
mod room;
mod running;
mod runtime;
mod shelf;
pub mod shell;
mod spec;
pub mod stand;
mod state;
pub mod steps;
mod trust;

pub use catalogue::{Action, Broken, Catalogue, ToolFolder};
pub use change::Wish;
pub use choices::{Choice, Choices, Presence};
pub use container::Container;
pub use embedded::unpack;
pub use id::ToolId;
pub use look::Standing;
pub use ports::owner_of_port;
pub use room::{Card, Holder};
pub use runtime::{Parts, ToolError, Tools};
pub use shelf::{Fingerprint, Origin, Shelf};
pub use spec::{Admits, Health, Home, Isolation, Own, Picks, ReleaseVram, Restart, ToolSpec};
pub use state::Installation;
pub use trust::{Accepted, Unseen};
