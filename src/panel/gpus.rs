//! GPUs through NVIDIA's management library, which is loaded at run time where there is one. Knows no other maker.

use nvml_wrapper::{
    Device, Nvml, bitmasks::device::ThrottleReasons, enum_wrappers::device::TemperatureSensor, enums::device::UsedGpuMemory,
    error::NvmlError,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The library's name as drivers install it, also in containers, where the one without a version is missing.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// One GPU. What it does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Gpu {
    /// "NVIDIA H100 80GB HBM3".
    pub name: String,
    /// Of its time, 0 to 100.
    pub percent: Option<u32>,
    /// Bytes.
    pub memory_used: u64,
    /// Bytes.
    pub memory_total: u64,
    /// Degrees Celsius.
    pub celsius: Option<u32>,
    /// Watts.
    pub watts: Option<f32>,
    /// Why it runs slower than it could at this moment: "too hot". Empty where nothing holds it back.
    pub slowed: Vec<&'static str>,
    /// Bytes that each process holds. In a container the driver may tell none.
    pub holders: BTreeMap<u32, u64>,
}

/// The library, or why it is not there.
#[derive(Debug)]
pub enum Gpus {
    /// It is.
    Here(Box<Nvml>),
    /// It is not; why, as a sentence.
    Absent(String),
}

impl Gpus {
    /// Loads the library.
    pub fn open() -> Gpus {
        match Nvml::builder().lib_path(LIBRARY.as_ref()).init() {
            Ok(nvml) => Gpus::Here(Box::new(nvml)),
            Err(NvmlError::LibloadingError(_)) => Gpus::Absent("No NVIDIA driver is installed here.".into()),
            Err(e) => Gpus::Absent(format!("The NVIDIA driver does not answer: {e}.")),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        match self {
            Gpus::Here(nvml) => nvml.device_count().unwrap_or(0),
            Gpus::Absent(_) => 0,
        }
    }

    /// Every GPU, or why none is shown.
    pub fn look(&self) -> (Vec<Gpu>, Option<String>) {
        let nvml = match self {
            Gpus::Here(nvml) => nvml,
            Gpus::Absent(why) => return (Vec::new(), Some(why.clone())),
        };
        let one = |index| nvml.device_by_index(index).map(|device| gpu(&device));
        let all: Result<Vec<Gpu>, NvmlError> = nvml.device_count().and_then(|count| (0..count).map(one).collect());
        match all {
            Ok(gpus) if gpus.is_empty() => (gpus, Some("The driver lists no GPU.".into())),
            Ok(gpus) => (gpus, None),
            Err(e) => (Vec::new(), Some(format!("The NVIDIA driver does not answer: {e}."))),
        }
    }
}

fn gpu(device: &Device<'_>) -> Gpu {
    let memory = device.memory_info().ok();
    let mut holders = BTreeMap::new();
    let processes = [device.running_compute_processes(), device.running_graphics_processes()];
    for process in processes.into_iter().flatten().flatten() {
        if let UsedGpuMemory::Used(bytes) = process.used_gpu_memory {
            holders.insert(process.pid, bytes);
        }
    }
    Gpu {
        name: device.name().unwrap_or_else(|_| "GPU".into()),
        percent: device.utilization_rates().ok().map(|u| u.gpu),
        memory_used: memory.as_ref().map_or(0, |m| m.used),
        memory_total: memory.as_ref().map_or(0, |m| m.total),
        celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        watts: device.power_usage().ok().map(|milliwatts| milliwatts as f32 / 1000.0),
        slowed: device.current_throttle_reasons().map_or_else(|_| Vec::new(), slowed),
        holders,
    }
}

/// What holds a card back, in words. That it has nothing to do, or was told to run so, does not.
fn slowed(reasons: ThrottleReasons) -> Vec<&'static str> {
    let hot = ThrottleReasons::HW_THERMAL_SLOWDOWN | ThrottleReasons::SW_THERMAL_SLOWDOWN;
    let words = [
        (hot, "too hot"),
        (ThrottleReasons::SW_POWER_CAP, "at its power limit"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "short of power"),
    ];
    let mut told: Vec<&str> = words.into_iter().filter(|(which, _)| reasons.intersects(*which)).map(|(_, word)| word).collect();
    // The card's own slowdown has one of the reasons above, but on old drivers.
    if told.is_empty() && reasons.contains(ThrottleReasons::HW_SLOWDOWN) {
        told.push("slowed by its hardware");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_card_back_is_told_and_idling_is_not() {
        assert!(slowed(ThrottleReasons::GPU_IDLE | ThrottleReasons::APPLICATIONS_CLOCKS_SETTING).is_empty());
        let both = ThrottleReasons::HW_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN | ThrottleReasons::SW_POWER_CAP;
        assert_eq!(slowed(both), ["too hot", "at its power limit"]);
        assert_eq!(slowed(ThrottleReasons::HW_SLOWDOWN), ["slowed by its hardware"]);
    }

    #[test]
    fn without_a_driver_it_says_so() {
        let (gpus, why) = Gpus::Absent("No NVIDIA driver is installed here.".into()).look();
        assert!(gpus.is_empty() && why.unwrap().contains("NVIDIA"));
        // Whatever this machine has: either GPUs or a reason, never neither.
        let (gpus, why) = Gpus::open().look();
        assert_eq!(gpus.is_empty(), why.is_some(), "{gpus:?} {why:?}");
    }
}
