//! Where models run: the CPU, or a GPU that was seen to compute right. Knows no model and no process.
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

    /// Finds the device that is wished for; a GPU keeps `element`s, and has to give the CPU's results in a short trial.
    ///
    /// # Errors
    /// [`EngineError::Other`] where a GPU is wished for by its number, and is not there or does not work.
    pub fn choose(
        wish: DeviceWish,
        element: Element,
        library: Library,
        threads: usize,
        lost: Lost,
    ) -> Result<Choice, EngineError> {
        let found = match wish {
            DeviceWish::Cpu => return Ok(Choice { device: Device::cpu(threads), no_gpu: None }),
            DeviceWish::Auto => Device::gpu(0, element, library, lost),
            DeviceWish::Gpu(number) | DeviceWish::AutoOn(number) => Device::gpu(number, element, library, lost),
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
    fn gpu(number: u32, element: Element, library: Library, lost: Lost) -> Result<Device, NoGpu> {
        let mut backend = open(number, element, library)?;
        let with = backend.library();
        match trial::run(&mut backend) {
            Ok(()) => {
                let no_library = with.and_then(Result::err).filter(|_| library == Library::Auto);
                Ok(Device { kind: Kind::Gpu { number, element, library, lost }, words: backend.device(), no_library })
            }
            Err(NoGpu::Unusable(why)) if matches!(with, Some(Ok(_))) => {
                drop(backend);
                let name = with.and_then(Result::ok).unwrap_or_default();
                // Where it fails again, the library was not what is wrong, or the process has lost the card for good.
                let device = Device::gpu(number, element, Library::Off, lost).map_err(|_| NoGpu::Unusable(why.clone()))?;
                let no_library = Some(format!("{name} is not used, because the GPU passes its trial only without: {why}"));
                Ok(Device { no_library, ..device })
            }
            Err(why) => Err(why),
        }
    }

    #[cfg(not(feature = "cuda"))]
    fn gpu(_: u32, _: Element, _: Library, _: Lost) -> Result<Device, NoGpu> {
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
        let choice = Device::choose(DeviceWish::Auto, USUAL, Library::Auto, 3, lost).unwrap();
        match &choice.no_gpu {
            Some(why) => {
                assert_eq!(choice.device.to_string(), "CPU, 3 cores");
                assert!(why.to_string().ends_with('.'), "{why}");
            }
            None => assert!(!choice.device.to_string().starts_with("CPU")),
        }
        choice.device.backend().unwrap();
        assert!(Device::choose(DeviceWish::Cpu, USUAL, Library::Auto, 1, lost).unwrap().no_gpu.is_none());
        assert!(Device::choose(DeviceWish::AutoOn(99), USUAL, Library::Auto, 1, lost).unwrap().no_gpu.is_some());
        let refused = Device::choose(DeviceWish::Gpu(99), USUAL, Library::Auto, 1, lost).unwrap_err();
        assert!(refused.problem().unwrap().what.contains("gpu:99"), "{refused}");
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_that_others_have_is_told_from_one_that_does_not_work() {
        assert_eq!(refusal(Fault::Full), NoGpu::Taken("No GPU is used: the GPU's memory is full.".into()));
        assert!(matches!(refusal(Fault::InUse), NoGpu::Taken(_)));
        assert!(matches!(refusal(Fault::Other("there is no NVIDIA driver".into())), NoGpu::Unusable(_)));
    }
}
