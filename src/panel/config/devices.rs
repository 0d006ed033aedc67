//! Which engines are started: what `engine_device` says. Knows no GPU and no process.

use protocol::DeviceWish;
use std::str::FromStr;

/// The engines of a studio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineDevices {
    /// One on each GPU that works; where there is none, one on the CPU.
    Auto,
    /// One for each of these, at least one.
    These(Vec<DeviceWish>),
}

impl EngineDevices {
    /// What each engine is told, on a machine with so many GPUs.
    pub fn wishes(&self, gpus: u32) -> Vec<DeviceWish> {
        match self {
            EngineDevices::Auto if gpus > 1 => (0..gpus).map(DeviceWish::AutoOn).collect(),
            EngineDevices::Auto => vec![DeviceWish::Auto],
            EngineDevices::These(wishes) => wishes.clone(),
        }
    }
}

impl FromStr for EngineDevices {
    type Err = String;

    fn from_str(text: &str) -> Result<EngineDevices, String> {
        if text == "auto" {
            return Ok(EngineDevices::Auto);
        }
        let mut wishes = Vec::new();
        for word in text.split(',').map(str::trim) {
            let wish: DeviceWish = word.parse()?;
            match wish {
                DeviceWish::Auto => return Err(format!("\"{text}\" names auto beside others, and auto chooses by itself")),
                DeviceWish::Gpu(number) | DeviceWish::AutoOn(number) if names(&wishes, number) => {
                    return Err(format!("\"{text}\" names GPU {number} twice, and a GPU has one engine"));
                }
                _ => wishes.push(wish),
            }
        }
        Ok(EngineDevices::These(wishes))
    }
}

/// Whether one of these is for that GPU, with or without the CPU as a way out.
fn names(wishes: &[DeviceWish], number: u32) -> bool {
    wishes.iter().any(|wish| matches!(wish, DeviceWish::Gpu(n) | DeviceWish::AutoOn(n) if *n == number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_an_engine_a_gpu_and_at_least_one() {
        let auto: EngineDevices = "auto".parse().unwrap();
        assert_eq!((auto.wishes(0), auto.wishes(1)), (vec![DeviceWish::Auto], vec![DeviceWish::Auto]));
        assert_eq!(auto.wishes(3), [DeviceWish::AutoOn(0), DeviceWish::AutoOn(1), DeviceWish::AutoOn(2)]);
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let wishes = |text: &str| text.parse::<EngineDevices>().unwrap().wishes(8);
        assert_eq!(wishes("gpu:0, gpu:2"), [DeviceWish::Gpu(0), DeviceWish::Gpu(2)]);
        assert_eq!(wishes("cpu,cpu"), [DeviceWish::Cpu, DeviceWish::Cpu]);
        assert_eq!(wishes("gpu"), [DeviceWish::Gpu(0)]);
        for (wrong, why) in [("gpu:0,tpu", "\"tpu\" is no device"), ("", "is no device"), ("cpu,", "\"\" is no device")] {
            assert!(wrong.parse::<EngineDevices>().is_err_and(|told| told.contains(why)), "{wrong}");
        }
        assert!("gpu,auto".parse::<EngineDevices>().is_err_and(|told| told.contains("by itself")));
        for twice in ["gpu,gpu:0", "gpu:0,auto:0", "auto:0, cpu, gpu"] {
            assert!(twice.parse::<EngineDevices>().is_err_and(|told| told.contains("names GPU 0 twice")), "{twice}");
        }
    }
}
