//! Samplers and schedules under the names that other programs use. Knows which of ours each one is, or which
//! comes nearest; knows no arithmetic.

use protocol::{Sampler, Schedule};

/// A foreign sampler in our terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) sampler: Sampler,
    /// Where the name itself says the schedule ("DPM++ 2M Karras").
    pub(crate) schedule: Option<Schedule>,
    /// Whether ours is the same method, not just the nearest.
    pub(crate) exact: bool,
}

/// Lower-case name → ours, and whether it is the same method. Names of A1111 and its predecessors first, then
/// those of ComfyUI and SwarmUI.
const SAMPLERS: [(&str, Sampler, bool); 55] = [
    ("euler a", Sampler::EulerA, true),
    ("euler ancestral", Sampler::EulerA, true),
    ("euler", Sampler::Euler, true),
    ("lms", Sampler::Euler, false),
    ("heun", Sampler::Heun, true),
    ("dpm2", Sampler::Heun, false),
    ("dpm2 a", Sampler::EulerA, false),
    ("dpm++ 2s a", Sampler::EulerA, false),
    ("dpm++ 2m", Sampler::Dpmpp2m, true),
    ("dpm++ sde", Sampler::Dpmpp2mSde, false),
    ("dpm++ 2m sde", Sampler::Dpmpp2mSde, true),
    ("dpm++ 2m sde heun", Sampler::Dpmpp2mSde, false),
    ("dpm++ 3m sde", Sampler::Dpmpp2mSde, false),
    ("dpm fast", Sampler::Dpmpp2m, false),
    ("dpm adaptive", Sampler::Dpmpp2m, false),
    ("restart", Sampler::Heun, false),
    ("ddim", Sampler::Ddim, true),
    ("ddim cfg++", Sampler::Ddim, false),
    ("plms", Sampler::Pndm, true),
    ("pndm", Sampler::Pndm, true),
    ("unipc", Sampler::Unipc, true),
    ("lcm", Sampler::Lcm, true),
    ("k_euler_a", Sampler::EulerA, true),
    ("k_euler", Sampler::Euler, true),
    ("k_heun", Sampler::Heun, true),
    ("k_lms", Sampler::Euler, false),
    ("k_dpm_2", Sampler::Heun, false),
    ("k_dpmpp_2m", Sampler::Dpmpp2m, true),
    ("euler_a", Sampler::EulerA, true),
    ("euler_ancestral", Sampler::EulerA, true),
    ("euler_cfg_pp", Sampler::Euler, false),
    ("euler_ancestral_cfg_pp", Sampler::EulerA, false),
    ("heunpp2", Sampler::Heun, false),
    ("dpm_2", Sampler::Heun, false),
    ("dpm_2_ancestral", Sampler::EulerA, false),
    ("dpm_fast", Sampler::Dpmpp2m, false),
    ("dpm_adaptive", Sampler::Dpmpp2m, false),
    ("dpmpp_2s_ancestral", Sampler::EulerA, false),
    ("dpmpp_sde", Sampler::Dpmpp2mSde, false),
    ("dpmpp_sde_gpu", Sampler::Dpmpp2mSde, false),
    ("dpmpp_2m", Sampler::Dpmpp2m, true),
    ("dpmpp_2m_cfg_pp", Sampler::Dpmpp2m, false),
    ("dpmpp_2m_sde", Sampler::Dpmpp2mSde, true),
    ("dpmpp_2m_sde_gpu", Sampler::Dpmpp2mSde, true),
    ("dpmpp_3m_sde", Sampler::Dpmpp2mSde, false),
    ("dpmpp_3m_sde_gpu", Sampler::Dpmpp2mSde, false),
    ("dpmpp2m", Sampler::Dpmpp2m, true),
    ("dpmpp2m_sde", Sampler::Dpmpp2mSde, true),
    ("ipndm", Sampler::Pndm, false),
    ("ipndm_v", Sampler::Pndm, false),
    ("deis", Sampler::Unipc, false),
    ("uni_pc", Sampler::Unipc, true),
    ("uni_pc_bh2", Sampler::Unipc, true),
    ("res_multistep", Sampler::Dpmpp2m, false),
    ("ddpm", Sampler::EulerA, false),
];

/// Lower-case name → ours, and whether it spreads the levels the same way.
const SCHEDULES: [(&str, Schedule, bool); 16] = [
    ("uniform", Schedule::Plain, true),
    ("normal", Schedule::Plain, true),
    ("plain", Schedule::Plain, true),
    ("simple", Schedule::Plain, true),
    ("ddim", Schedule::Plain, true),
    ("ddim_uniform", Schedule::Plain, true),
    ("sgm uniform", Schedule::Plain, false),
    ("sgm_uniform", Schedule::Plain, false),
    ("turbo", Schedule::Plain, false),
    ("linear_quadratic", Schedule::Plain, false),
    ("karras", Schedule::Karras, true),
    ("exponential", Schedule::Exponential, true),
    ("polyexponential", Schedule::Exponential, false),
    ("kl optimal", Schedule::Karras, false),
    ("kl_optimal", Schedule::Karras, false),
    ("beta", Schedule::Beta, true),
];

/// The sampler that a name means.
pub(crate) fn sampler(name: &str) -> Option<Found> {
    let name = name.trim().to_ascii_lowercase();
    let endings = [(" karras", Schedule::Karras), (" exponential", Schedule::Exponential), ("_ka", Schedule::Karras)];
    let (plain, schedule) = endings
        .into_iter()
        .find_map(|(ending, schedule)| Some((name.strip_suffix(ending)?, Some(schedule))))
        .unwrap_or((&name, None));
    let (_, sampler, exact) = *SAMPLERS.iter().find(|(known, ..)| *known == plain)?;
    Some(Found { sampler, schedule, exact })
}

/// The schedule that a name means, and whether it is the same one.
pub(crate) fn schedule(name: &str) -> Option<(Schedule, bool)> {
    let name = name.trim().to_ascii_lowercase();
    SCHEDULES.iter().find(|(known, ..)| *known == name).map(|(_, schedule, exact)| (*schedule, *exact))
}

/// What A1111's "Automatic" means for a sampler.
pub(crate) fn automatic(sampler: Sampler) -> Schedule {
    match sampler {
        Sampler::Dpmpp2m => Schedule::Karras,
        Sampler::Dpmpp2mSde => Schedule::Exponential,
        _ => Schedule::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_of_ours_is_known() {
        for ours in Sampler::ALL {
            for name in [ours.label(), ours.name()] {
                assert_eq!(sampler(name).map(|f| (f.sampler, f.exact)), Some((ours, true)), "{name}");
            }
        }
        for ours in Schedule::ALL {
            for name in [ours.label(), ours.name()] {
                assert_eq!(schedule(name), Some((ours, true)), "{name}");
            }
        }
    }

    #[test]
    fn old_names_hold_the_schedule() {
        let found = sampler("DPM++ 2M SDE Karras").unwrap();
        assert_eq!((found.sampler, found.schedule, found.exact), (Sampler::Dpmpp2mSde, Some(Schedule::Karras), true));
        assert_eq!(sampler("Quantum 9"), None);
    }
}
