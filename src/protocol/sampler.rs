//! The samplers and sigma schedules that a recipe may name. Knows their names and which pairs exist;
//! the arithmetic is the engine's.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How the denoiser's predictions are integrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// DDIM (Song et al. 2020), `eta` adds noise.
    Ddim,
    /// PNDM in its PLMS form (Liu et al. 2022).
    Pndm,
    /// Euler (Karras et al. 2022, algorithm 2 without churn).
    Euler,
    /// Euler with ancestral noise.
    EulerA,
    /// Heun, two evaluations a step.
    Heun,
    /// DPM-Solver++ 2M (Lu et al. 2022).
    Dpmpp2m,
    /// DPM-Solver++ 2M, stochastic.
    Dpmpp2mSde,
    /// UniPC of order 2 (Zhao et al. 2023).
    Unipc,
    /// Latent consistency sampling (Luo et al. 2023), for distilled models only.
    Lcm,
}

/// How the noise levels are spread between the first step and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The model's own training timesteps.
    Plain,
    /// Karras et al. 2022, rho 7.
    Karras,
    /// Evenly spaced logarithms of sigma.
    Exponential,
    /// Quantiles of a beta distribution, alpha = beta = 0.6.
    Beta,
}

impl Sampler {
    /// Every sampler, in the order in which a form lists them.
    pub const ALL: [Sampler; 9] = [
        Sampler::Dpmpp2m,
        Sampler::Dpmpp2mSde,
        Sampler::Euler,
        Sampler::EulerA,
        Sampler::Heun,
        Sampler::Unipc,
        Sampler::Ddim,
        Sampler::Pndm,
        Sampler::Lcm,
    ];

    /// The name in recipes and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Sampler::Ddim => "ddim",
            Sampler::Pndm => "pndm",
            Sampler::Euler => "euler",
            Sampler::EulerA => "euler_a",
            Sampler::Heun => "heun",
            Sampler::Dpmpp2m => "dpmpp2m",
            Sampler::Dpmpp2mSde => "dpmpp2m_sde",
            Sampler::Unipc => "unipc",
            Sampler::Lcm => "lcm",
        }
    }

    /// The name that artists know from other programs, as infotext writes it.
    pub fn label(self) -> &'static str {
        match self {
            Sampler::Ddim => "DDIM",
            Sampler::Pndm => "PLMS",
            Sampler::Euler => "Euler",
            Sampler::EulerA => "Euler a",
            Sampler::Heun => "Heun",
            Sampler::Dpmpp2m => "DPM++ 2M",
            Sampler::Dpmpp2mSde => "DPM++ 2M SDE",
            Sampler::Unipc => "UniPC",
            Sampler::Lcm => "LCM",
        }
    }

    /// The schedules that the reference implementation has for this sampler; the first is the default.
    pub fn schedules(self) -> &'static [Schedule] {
        use Schedule::*;
        match self {
            Sampler::Euler | Sampler::Heun | Sampler::Dpmpp2m | Sampler::Dpmpp2mSde | Sampler::Unipc => {
                &[Plain, Karras, Exponential, Beta]
            }
            Sampler::Ddim | Sampler::Pndm | Sampler::EulerA | Sampler::Lcm => &[Plain],
        }
    }

    /// Whether a step draws fresh noise (DDIM only with `eta` above 0).
    pub fn is_stochastic(self) -> bool {
        matches!(self, Sampler::EulerA | Sampler::Dpmpp2mSde | Sampler::Lcm)
    }
}

impl Schedule {
    /// Every schedule.
    pub const ALL: [Schedule; 4] = [Schedule::Plain, Schedule::Karras, Schedule::Exponential, Schedule::Beta];

    /// The name in recipes and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Schedule::Plain => "plain",
            Schedule::Karras => "karras",
            Schedule::Exponential => "exponential",
            Schedule::Beta => "beta",
        }
    }

    /// The name as infotext writes it ("Schedule type").
    pub fn label(self) -> &'static str {
        match self {
            Schedule::Plain => "Uniform",
            Schedule::Karras => "Karras",
            Schedule::Exponential => "Exponential",
            Schedule::Beta => "Beta",
        }
    }
}

/// A name that no sampler or schedule has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not one of {allowed}")]
pub struct UnknownName {
    /// What was given.
    pub given: String,
    /// The names that exist, comma separated.
    pub allowed: String,
}

impl FromStr for Sampler {
    type Err = UnknownName;
    fn from_str(s: &str) -> Result<Self, UnknownName> {
        Sampler::ALL
            .into_iter()
            .find(|x| x.name() == s)
            .ok_or_else(|| UnknownName { given: s.into(), allowed: Sampler::ALL.map(Sampler::name).join(", ") })
    }
}

impl FromStr for Schedule {
    type Err = UnknownName;
    fn from_str(s: &str) -> Result<Self, UnknownName> {
        Schedule::ALL
            .into_iter()
            .find(|x| x.name() == s)
            .ok_or_else(|| UnknownName { given: s.into(), allowed: Schedule::ALL.map(Schedule::name).join(", ") })
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
