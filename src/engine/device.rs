//! Where models run: the CPU, or a GPU that was seen to compute right. Knows no model, and no process: whoever chooses says where
//! a GPU is tried, because a driver that crashes or hangs takes its process with it.
//!
//! ```text
//! wish ──▶ choose ──▶ Device ──▶ backend, one for each model that is loaded
//!            │
//!            └─ trial: one of each kind of operation, on the GPU and on the CPU
//! ```

#[cfg(any(feature = "cuda", test))]
pub(crate) mod trial;

pub use crate::cuda::{Lost, element::Element};

#[cfg(feature = "cuda")]
use crate::cuda::{CudaBackend, card::Card, driver::Fault};
use crate::{EngineError, cpu::CpuBackend, ops::Backend};
use protocol::{DeviceWish, NoGpu, Problem};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a GPU keeps matrices and what lies between two operations, where nobody says otherwise. Of the half types the finer
/// one: activations of these families stay far below its largest number, 65,504.
pub const USUAL: Element = Element::F16;

/// Whether a GPU's linear layers may be those of NVIDIA's cuBLASLt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Library {
    /// Where the machine has it, and it computes right.
    #[default]
    Auto,
    /// Never: the engine's own kernels do them.
    Off,
}

/// What the trial of a GPU came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tried {
    /// It computes what the CPU does.
    Right {
        /// The device: "NVIDIA H100, f16, cuBLASLt 12.9".
        device: String,
        /// Why its linear layers are the engine's own kernels', where they might have been a library's.
        no_library: Option<String>,
    },
    /// It does not, or could not be asked.
    Wrong {
        /// What is wrong.
        why: NoGpu,
        /// The library that took part, or may have: "cuBLASLt 12.9".
        library: Option<String>,
    },
}

/// Tries a GPU by its number, with what it is to keep and whether a library may take part: [`tried`], or that elsewhere.
pub type Trial = fn(u32, Element, Library) -> Tried;

/// Where models run.
#[derive(Clone, Debug)]
pub struct Device {
    kind: Kind,
    words: String,
    no_library: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Cpu {
        threads: usize,
    },
    #[cfg(feature = "cuda")]
    Gpu {
        number: u32,
        element: Element,
        library: Library,
        lost: Lost,
    },
}

/// What was chosen.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where models run.
    pub device: Device,
    /// Why it is no GPU although one would have been taken.
    pub no_gpu: Option<NoGpu>,
}

impl Device {
    /// A CPU of so many threads.
    pub fn cpu(threads: usize) -> Device {
        let words = format!("CPU, {threads} {}", if threads == 1 { "core" } else { "cores" });
        Device { kind: Kind::Cpu { threads }, words, no_library: None }
    }

    /// Why a GPU's linear layers are the engine's own kernels' and what to do, where they could be a library's.
    pub fn no_library(&self) -> Option<&str> {
        self.no_library.as_deref()
    }

    /// Finds the device that is wished for; a GPU keeps `element`s, and has to give the CPU's results in a short `trial`.
    ///
    /// # Errors
    /// [`EngineError::Other`] where a GPU is wished for by its number, and is not there or does not work.
    pub fn choose(
        wish: DeviceWish,
        element: Element,
        library: Library,
        threads: usize,
        lost: Lost,
        trial: Trial,
    ) -> Result<Choice, EngineError> {
        let found = match wish {
            DeviceWish::Cpu => return Ok(Choice { device: Device::cpu(threads), no_gpu: None }),
            DeviceWish::Auto => Device::gpu(0, element, library, lost, trial),
            DeviceWish::Gpu(number) | DeviceWish::AutoOn(number) => Device::gpu(number, element, library, lost, trial),
        };
        match found {
            Ok(device) => Ok(Choice { device, no_gpu: None }),
            Err(why) if matches!(wish, DeviceWish::Auto | DeviceWish::AutoOn(_)) => {
                Ok(Choice { device: Device::cpu(threads), no_gpu: Some(why) })
            }
            Err(why) => {
                let remedy = match why {
                    NoGpu::Taken(_) => "End what has the GPU, or choose another device: auto takes the CPU where no GPU is free.",
                    NoGpu::Unusable(_) => "Choose another device: auto takes the CPU where no GPU works.",
                };
                Err(EngineError::Other(Problem::new(format!("GPU {wish} cannot be used. {why}")).remedy(remedy)))
            }
        }
    }

    /// GPU `number`, tried; or why not. What fails with the library is tried again without it.
    #[cfg(feature = "cuda")]
    fn gpu(number: u32, element: Element, library: Library, lost: Lost, trial: Trial) -> Result<Device, NoGpu> {
        match trial(number, element, library) {
            Tried::Right { device, no_library } => {
                let no_library = no_library.filter(|_| library == Library::Auto);
                Ok(Device { kind: Kind::Gpu { number, element, library, lost }, words: device, no_library })
            }
            Tried::Wrong { why: NoGpu::Unusable(why), library: Some(name) } => match trial(number, element, Library::Off) {
                Tried::Right { device, .. } => {
                    let no_library = format!("{name} is not used, because the GPU passes its trial only without: {why}");
                    let kind = Kind::Gpu { number, element, library: Library::Off, lost };
                    Ok(Device { kind, words: device, no_library: Some(no_library) })
                }
                // Somebody took it meanwhile.
                Tried::Wrong { why: why @ NoGpu::Taken(_), .. } => Err(why),
                // The library was not what is wrong, or the process has lost the card for good.
                Tried::Wrong { .. } => Err(NoGpu::Unusable(why)),
            },
            Tried::Wrong { why, .. } => Err(why),
        }
    }

    #[cfg(not(feature = "cuda"))]
    fn gpu(_: u32, _: Element, _: Library, _: Lost, _: Trial) -> Result<Device, NoGpu> {
        Err(NoGpu::Unusable("This program was built without support for GPUs.".into()))
    }

    /// How numbers are kept between operations.
    pub fn element(&self) -> Element {
        match self.kind {
            Kind::Cpu { .. } => Element::F32,
            #[cfg(feature = "cuda")]
            Kind::Gpu { element, .. } => element,
        }
    }

    /// A backend for one model.
    ///
    /// # Errors
    /// [`EngineError::GpuFull`] where others have it meanwhile, [`EngineError::Other`] where it is gone.
    pub fn backend(&self) -> Result<Box<dyn Backend>, EngineError> {
        match self.kind {
            Kind::Cpu { threads } => Ok(Box::new(CpuBackend::new(threads))),
            #[cfg(feature = "cuda")]
            Kind::Gpu { number, element, library, lost } => match open(number, element, library) {
                Ok(backend) => Ok(Box::new(backend.when_lost(lost))),
                Err(why @ NoGpu::Taken(_)) => {
                    Err(EngineError::GpuFull(Problem::new(why.to_string()).remedy("End what has the GPU.")))
                }
                Err(why @ NoGpu::Unusable(_)) => {
                    Err(EngineError::Other(Problem::new(why.to_string()).remedy("Restart Easel; if it stays so, the machine.")))
                }
            },
        }
    }
}

/// The GPUs that this program has kernels for: one line, in words.
pub fn kernels() -> String {
    #[cfg(feature = "cuda")]
    return crate::cuda::images::in_words();
    #[cfg(not(feature = "cuda"))]
    "no support for GPUs".to_owned()
}

/// Whether this machine has a driver for GPUs. Without one a trial needs no process of its own.
pub fn has_driver() -> bool {
    #[cfg(feature = "cuda")]
    return Card::has_driver();
    #[cfg(not(feature = "cuda"))]
    false
}

/// Tries a GPU here, in this process.
#[cfg(feature = "cuda")]
pub fn tried(number: u32, element: Element, library: Library) -> Tried {
    let mut backend = match open(number, element, library) {
        Ok(backend) => backend,
        Err(why) => return Tried::Wrong { why, library: None },
    };
    let with = backend.library();
    match trial::run(&mut backend) {
        Ok(()) => Tried::Right { device: backend.device(), no_library: with.and_then(Result::err) },
        Err(why) => Tried::Wrong { why, library: with.and_then(Result::ok) },
    }
}

/// Tries a GPU here, in this process.
#[cfg(not(feature = "cuda"))]
pub fn tried(_: u32, _: Element, _: Library) -> Tried {
    Tried::Wrong { why: NoGpu::Unusable("This program was built without support for GPUs.".into()), library: None }
}

/// GPU `number`, or why there is none.
#[cfg(feature = "cuda")]
fn open(number: u32, element: Element, library: Library) -> Result<CudaBackend, NoGpu> {
    let mut card = Card::open(number).map_err(refusal)?;
    if library == Library::Off {
        card = card.without_library("cuBLASLt was left alone, as asked");
    }
    Ok(CudaBackend::new(Box::new(card), element))
}

/// Why a card cannot be opened. What others hold, they may give back.
#[cfg(feature = "cuda")]
fn refusal(fault: Fault) -> NoGpu {
    let why = format!("No GPU is used: {fault}.");
    match fault {
        Fault::Full | Fault::InUse => NoGpu::Taken(why),
        Fault::Other(_) => NoGpu::Unusable(why),
    }
}

/// "CPU, 2 cores"; "NVIDIA H100, f16, cuBLASLt 13.1".
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(why: &str) -> ! {
        panic!("{why}")
    }

    /// Whatever this machine has: a device, and a reason where it is no GPU.
    #[test]
    fn without_a_gpu_the_cpu_is_taken_and_the_reason_told() {
        let choice = Device::choose(DeviceWish::Auto, USUAL, Library::Auto, 3, lost, tried).unwrap();
        match &choice.no_gpu {
            Some(why) => {
                assert_eq!(choice.device.to_string(), "CPU, 3 cores");
                assert!(why.to_string().ends_with('.'), "{why}");
            }
            None => assert!(!choice.device.to_string().starts_with("CPU")),
        }
        choice.device.backend().unwrap();
        assert!(Device::choose(DeviceWish::Cpu, USUAL, Library::Auto, 1, lost, tried).unwrap().no_gpu.is_none());
        assert!(Device::choose(DeviceWish::AutoOn(99), USUAL, Library::Auto, 1, lost, tried).unwrap().no_gpu.is_some());
        let refused = Device::choose(DeviceWish::Gpu(99), USUAL, Library::Auto, 1, lost, tried).unwrap_err();
        assert!(refused.problem().unwrap().what.contains("gpu:99"), "{refused}");
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_library_that_breaks_the_trial_costs_only_itself() {
        fn breaks(library: Library) -> Tried {
            match library {
                Library::Auto => {
                    Tried::Wrong { why: NoGpu::Unusable("It was ended by signal 11.".into()), library: Some("cuBLASLt".into()) }
                }
                Library::Off => Tried::Right { device: "H100, f16".into(), no_library: None },
            }
        }
        let choose = |trial: Trial| Device::choose(DeviceWish::Auto, USUAL, Library::Auto, 1, lost, trial).unwrap();
        let Choice { device, no_gpu } = choose(|_, _, library| breaks(library));
        assert_eq!((device.to_string().as_str(), no_gpu), ("H100, f16", None));
        assert!(device.no_library().is_some_and(|why| why.ends_with("only without: It was ended by signal 11.")));
        assert!(matches!(device.kind, Kind::Gpu { library: Library::Off, .. }));
        let Choice { device, no_gpu } = choose(|_, _, _| breaks(Library::Auto));
        assert_eq!(
            (device.to_string().as_str(), no_gpu),
            ("CPU, 1 core", Some(NoGpu::Unusable("It was ended by signal 11.".into())))
        );
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_that_others_have_is_told_from_one_that_does_not_work() {
        assert_eq!(refusal(Fault::Full), NoGpu::Taken("No GPU is used: the GPU's memory is full.".into()));
        assert!(matches!(refusal(Fault::InUse), NoGpu::Taken(_)));
        assert!(matches!(refusal(Fault::Other("there is no NVIDIA driver".into())), NoGpu::Unusable(_)));
    }
}
