//! Containers of an engine on this machine, Docker or Podman: finding its socket, images, containers of this studio, their
//! terminals. The only package that names bollard. Knows no web, no SQL, no page and no tool's folder.
//!
//! A container runs on the very road of a process: [`ContainerSpawner`] and [`ExecSpawner`] are spawners of `supervise`, so
//! that a [`supervise::Service`] keeps one and a [`supervise::Session`] shows it. [`WorkSpawner`] lets a pull or an update be
//! looked at in a terminal as a script is.
//!
//! Nothing is done to a container without this studio's labels: whatever changes one takes an [`Owned`], and only a look at
//! the labels makes that.

mod body;
mod container;
mod engine;
mod error;
mod exec;
mod image;
mod inspect;
mod keeper;
mod labels;
mod line;
mod orphans;
mod progress;
mod pull;
mod raw;
mod socket;
mod spawner;
mod spec;
mod update;
mod work;

pub use container::Owned;
pub use engine::{Engine, Version};
pub use error::ContainerError;
pub use exec::ExecSpawner;
pub use image::{ImageId, ImageName, KeptImage, Login};
pub use inspect::{Standing, Wellness};
pub use labels::{Studio, Suffix};
pub use orphans::{Orphan, Verdict, decide};
pub use progress::{Layers, Progress};
pub use pull::Pulled;
pub use socket::{NoEngine, Road, Surroundings, Way, find, may_come};
pub use spawner::ContainerSpawner;
pub use spec::{ContainerSpec, Gpus, LogLimits, Mount, Port};
pub use update::{Step, Updated, mend};
pub use work::{Work, WorkSpawner};
