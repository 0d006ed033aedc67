//! The word for where models are to run, as the configuration and the command line say it. Knows no device.

use std::{fmt, str::FromStr};

/// Where models are wished to run: `auto`, `cpu`, `gpu`, `gpu:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceWish {
    /// On the first GPU, where there is one that works; else on the CPU.
    #[default]
    Auto,
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
            _ => text
                .strip_prefix("gpu:")
                .and_then(|number| number.parse().ok())
                .map(DeviceWish::Gpu)
                .ok_or_else(|| format!("\"{text}\" is no device: it can be auto, cpu, gpu, or a GPU by its number, gpu:1")),
        }
    }
}

impl fmt::Display for DeviceWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceWish::Auto => f.write_str("auto"),
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
        for wish in ["auto", "cpu", "gpu:0", "gpu:7"] {
            assert_eq!(wish.parse::<DeviceWish>().unwrap().to_string(), wish);
        }
        assert_eq!("gpu".parse(), Ok(DeviceWish::Gpu(0)));
        for wrong in ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cuda"] {
            assert!(wrong.parse::<DeviceWish>().is_err_and(|why| why.contains("gpu:1")), "{wrong}");
        }
    }
}
