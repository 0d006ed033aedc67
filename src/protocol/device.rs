//! The word for where models are to run, as the configuration and the command line say it. Knows no device.

use std::{fmt, str::FromStr};

/// Where models are wished to run: `auto`, `auto:1`, `cpu`, `gpu`, `gpu:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceWish {
    /// On the first GPU, where there is one that works; else on the CPU.
    #[default]
    Auto,
    /// On this GPU, where it works; else on the CPU. What each of several engines that share a machine is told.
    AutoOn(u32),
    /// On the CPU.
    Cpu,
    /// On this GPU, counted from 0 as its driver does, and nowhere else.
    Gpu(u32),
}

impl FromStr for DeviceWish {
    type Err = String;

    fn from_str(text: &str) -> Result<DeviceWish, String> {
        match text {
            "auto" => Ok(DeviceWish::Auto),
            "cpu" => Ok(DeviceWish::Cpu),
            "gpu" => Ok(DeviceWish::Gpu(0)),
            _ => numbered(text)
                .ok_or_else(|| format!("\"{text}\" is no device: it can be auto, cpu, gpu, or a GPU by its number, gpu:1")),
        }
    }
}

/// "gpu:1", "auto:1".
fn numbered(text: &str) -> Option<DeviceWish> {
    let (kind, number) = text.split_once(':')?;
    let number = number.parse().ok()?;
    match kind {
        "gpu" => Some(DeviceWish::Gpu(number)),
        "auto" => Some(DeviceWish::AutoOn(number)),
        _ => None,
    }
}

impl fmt::Display for DeviceWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceWish::Auto => f.write_str("auto"),
            DeviceWish::AutoOn(number) => write!(f, "auto:{number}"),
            DeviceWish::Cpu => f.write_str("cpu"),
            DeviceWish::Gpu(number) => write!(f, "gpu:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_written() {
        for wish in ["auto", "auto:1", "cpu", "gpu:0", "gpu:7"] {
            assert_eq!(wish.parse::<DeviceWish>().unwrap().to_string(), wish);
        }
        assert_eq!("gpu".parse(), Ok(DeviceWish::Gpu(0)));
        for wrong in ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cpu:1", "cuda"] {
            assert!(wrong.parse::<DeviceWish>().is_err_and(|why| why.contains("gpu:1")), "{wrong}");
        }
    }
}
