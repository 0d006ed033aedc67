//! What the panel, the engine and the command line say to each other. Knows serde and nothing else:
//! no sockets, no files, no tensors.

pub mod device;
pub mod draft;
pub mod engine;
pub mod frame;
pub mod ids;
pub mod model;
pub mod model_work;
pub mod recipe;
pub mod sampler;

pub use device::DeviceWish;
pub use draft::{Draft, FieldProblem};
pub use engine::{FromEngine, NoGpu, Problem, ToEngine};
pub use ids::JobId;
pub use model::{ModelInfo, Preset};
pub use model_work::{FromModelWorker, ToModelWorker};
pub use recipe::{Format, ImageRef, Recipe};
pub use sampler::{Sampler, Schedule};

/// Identifies the build. Panel and engine compare it before anything else is said, so that a binary
/// replaced under a running panel is noticed instead of misread.
pub const BUILD_ID: &str = concat!(env!("CARGO_PKG_VERSION"), "+3");
