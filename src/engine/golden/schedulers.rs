//! The family `schedulers`: every sampler alone, driven with recorded predictions and recorded noise. Knows the
//! cases that are claimed; knows no network.

use super::{Case, Outcome, Reference, Stage, Tensor};
use crate::{
    EngineError,
    cpu::CpuBackend,
    noise::{Draw, NoiseSource},
    ops::{Buf, Shape},
    plan::Planner,
    samplers::{self, Buffers, Denoiser, Path},
    schedule::{Class, SchedulerConfig, Settings},
    session::Session,
};
use protocol::Problem;
use serde_json::Value;
use std::ops::ControlFlow;

/// Allowed difference of every number, as a share of the largest.
pub const TOLERANCE: f64 = 1e-4;

/// Allowed difference of latents. A run that begins with huge ones (sigma 4096, at zero terminal signal) keeps their
/// rounding when its latents are small: twice half a unit in the last place of the first ones, for the two roundings of a step.
fn of_latents(first: &[f32], now: &[f32]) -> f64 {
    let largest = |values: &[f32]| values.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
    TOLERANCE.max(f64::from(f32::EPSILON) * f64::from(largest(first)) / f64::from(largest(now)))
}

/// The cases that the engine claims. One that is here stays here.
pub const CLAIMED: [&str; 58] = [
    "ddim_leading",
    "ddim_trailing",
    "ddim_linspace",
    "ddim_vpred",
    "ddim_sample",
    "ddim_zsnr",
    "ddim_clip",
    "ddim_thresh",
    "ddim_linear_cos",
    "ddim_linear",
    "pndm_plms",
    "pndm_prk",
    "euler_leading",
    "euler_trailing",
    "euler_linspace",
    "euler_karras",
    "euler_exponential",
    "euler_beta",
    "euler_vpred",
    "euler_vpred_zsnr",
    "euler_final_min",
    "euler_loglinear",
    "euler_a",
    "euler_a_vpred",
    "heun",
    "heun_karras",
    "heun_exponential",
    "heun_beta",
    "dpmpp2m_leading",
    "dpmpp2m_trailing",
    "dpmpp2m_linspace",
    "dpmpp2m_karras",
    "dpmpp2m_exponential",
    "dpmpp2m_beta",
    "dpmpp_o1",
    "dpmpp_o2",
    "dpmpp_o3",
    "dpm_o1",
    "dpm_o2",
    "dpm_o3",
    "dpmpp2m_midpoint_off",
    "dpmpp2m_20steps",
    "dpmpp2m_euler_final",
    "dpmpp2m_no_lof",
    "dpmpp2m_lu",
    "dpmpp2m_vpred",
    "dpmpp2m_sde",
    "dpmpp2m_sde_karras",
    "dpm_sde",
    "unipc_karras",
    "unipc_exponential",
    "unipc_beta",
    "unipc_o1",
    "unipc_o2",
    "unipc_o3",
    "unipc_bh1",
    "unipc_x0_off",
    "lcm",
];

/// Every case of the recording.
pub fn check(reference: &Reference) -> Vec<Case> {
    let case = |(name, recorded): (&String, &Value)| Case {
        family: reference.family().into(),
        name: name.clone(),
        outcome: outcome(reference, recorded),
    };
    reference.cases().map(case).collect()
}

/// Whether the engine claims a case.
pub fn is_claimed(name: &str) -> bool {
    CLAIMED.contains(&name)
}

fn outcome(reference: &Reference, recorded: &Value) -> Outcome {
    let class_name = recorded["cls"].as_str().unwrap_or_default();
    let Some(class) = Class::from_name(class_name) else {
        return Outcome::NotOffered(class_name.into());
    };
    let config = &recorded["config"];
    if config["use_flow_sigmas"] == Value::Bool(true) {
        return Outcome::NotOffered(format!("{class_name} of flow models"));
    }
    if config["timestep_type"] == "continuous" {
        return Outcome::NotOffered(format!("{class_name} with continuous timesteps"));
    }
    match compare(reference, recorded, class) {
        Ok(stages) => Outcome::Compared(stages),
        Err(e) => Outcome::Failed(e.to_string()),
    }
}

fn compare(reference: &Reference, recorded: &Value, class: Class) -> Result<Vec<Stage>, EngineError> {
    let config: SchedulerConfig = serde_json::from_value(recorded["config"].clone()).map_err(|e| bad(&e.to_string()))?;
    let settings = Settings::new(class, &config)?;
    let steps = recorded["steps"].as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| bad("no steps"))?;
    let path = Path::new(settings, steps, 1.0)?;
    let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
    let recorded_timesteps = &reference.tensor(&recorded["timesteps"])?.values;
    let mut stages = vec![Stage::compare("timesteps", &single(&path.schedule.timesteps), recorded_timesteps, TOLERANCE)];
    if !recorded["sigmas"].is_null() {
        let sigmas = &reference.tensor(&recorded["sigmas"])?.values;
        stages.push(Stage::compare("sigmas", &single(&path.schedule.sigmas), sigmas, TOLERANCE));
    }
    let initial = recorded["init_noise_sigma"].as_f64().ok_or_else(|| bad("no init_noise_sigma"))?;
    stages.push(Stage::compare("initial noise", &[path.initial_noise() as f32], &[initial as f32], TOLERANCE));
    stages.extend(replay(reference, recorded, &path)?);
    Ok(stages)
}

/// Goes the recorded steps with the recorded predictions, and adds noise where the recording did.
fn replay(reference: &Reference, recorded: &Value, path: &Path) -> Result<Vec<Stage>, EngineError> {
    let events = recorded["trace"].as_array().ok_or_else(|| bad("no trace"))?;
    let of = |kind: &str| events.iter().filter(|e| e["ev"] == kind).collect::<Vec<_>>();
    let steps = of("step");
    let first = reference.tensor(&steps.first().ok_or_else(|| bad("no steps"))?["sample"])?;
    let [n, c, h, w] = first.dims[..] else { return Err(bad("latents have no four extents")) };
    let shape = Shape::new(n, h, w, c);
    let trajectory = path.trajectory()?;

    let mut planner = Planner::new();
    let coefficients = Session::coefficients(&mut planner);
    let buffers = Buffers::plan(&mut planner, shape, &trajectory);
    let mut denoiser = Recorded::plan(&mut planner, shape, reference, &steps);
    let clean = planner.keep(shape);
    let plan = planner.finish();
    let mut backend = CpuBackend::new(1);
    let on_step = &mut |_: crate::Step<'_>| ControlFlow::Continue(());
    let mut session = Session::new(&mut backend, &plan, coefficients, on_step)?;

    session.write(buffers.x, &first.channels_last());
    let mut noise = Replayed::new(reference, &of("rng"))?;
    let mut after = Vec::with_capacity(steps.len());
    samplers::run(&mut session, &trajectory, &mut denoiser, &buffers, &mut noise, &mut |session, _| {
        after.push(session.read(buffers.x));
        Ok(())
    })?;
    let mut stages = denoiser.stages;
    for (i, (found, step)) in after.iter().zip(&steps).enumerate() {
        let expected = reference.tensor(&step["prev_sample"])?.channels_last();
        stages.push(Stage::compare(format!("step {i}"), found, &expected, of_latents(&first.values, &expected)));
    }
    if after.len() != steps.len() {
        return Err(bad(&format!("{} evaluations where {} were recorded", after.len(), steps.len())));
    }

    let added = &recorded["add_noise"];
    if !added.is_null() {
        session.write(clean, &reference.tensor(&added["original"])?.channels_last());
        session.write(buffers.noise, &reference.tensor(&added["noise"])?.channels_last());
        samplers::run::noised(&mut session, path, path.evaluations() / 2, buffers.x, clean, buffers.noise)?;
        let expected = reference.tensor(&added["out"])?.channels_last();
        stages.push(Stage::compare("added noise", &session.read(buffers.x), &expected, TOLERANCE));
    }
    Ok(stages)
}

/// Answers with the recorded predictions, and compares what it is asked with what was recorded.
struct Recorded<'a> {
    reference: &'a Reference,
    steps: &'a [&'a Value],
    input: Buf,
    output: Buf,
    next: usize,
    stages: Vec<Stage>,
}

impl<'a> Recorded<'a> {
    fn plan(planner: &mut Planner, shape: Shape, reference: &'a Reference, steps: &'a [&'a Value]) -> Recorded<'a> {
        Recorded { reference, steps, input: planner.keep(shape), output: planner.keep(shape), next: 0, stages: Vec::new() }
    }
}

impl Denoiser for Recorded<'_> {
    fn input(&self) -> Buf {
        self.input
    }

    fn output(&self) -> Buf {
        self.output
    }

    fn predict(&mut self, session: &mut Session<'_>, timestep: f32) -> Result<(), EngineError> {
        let i = self.next;
        let step = self.steps.get(i).ok_or_else(|| bad("more evaluations than recorded"))?;
        let told = step["timestep"].as_f64().ok_or_else(|| bad("a step without timestep"))?;
        self.stages.push(Stage::compare(format!("timestep {i}"), &[timestep], &[told as f32], TOLERANCE));
        let expected = self.reference.tensor(&step["scaled_input"])?.channels_last();
        let latents = |step: &Value| self.reference.tensor(&step["sample"]).map(|t| &t.values);
        let tolerance = of_latents(latents(self.steps[0])?, latents(step)?);
        self.stages.push(Stage::compare(format!("input {i}"), &session.read(self.input), &expected, tolerance));
        session.write(self.output, &self.reference.tensor(&step["model_output"])?.channels_last());
        self.next += 1;
        Ok(())
    }
}

/// Recorded draws, one after the other.
struct Replayed<'a> {
    draws: std::vec::IntoIter<&'a Tensor>,
}

impl<'a> Replayed<'a> {
    fn new(reference: &'a Reference, events: &[&Value]) -> Result<Replayed<'a>, EngineError> {
        let draws: Result<Vec<&Tensor>, EngineError> = events.iter().map(|e| reference.tensor(&e["out"])).collect();
        Ok(Replayed { draws: draws?.into_iter() })
    }
}

impl NoiseSource for Replayed<'_> {
    fn fill(&mut self, _: Draw, out: &mut [f32]) {
        // A draw that was not recorded shows as a difference, not as a panic.
        let draw = self.draws.next().map(Tensor::channels_last).filter(|d| d.len() == out.len());
        out.copy_from_slice(&draw.unwrap_or_else(|| vec![f32::NAN; out.len()]));
    }
}

fn bad(what: &str) -> EngineError {
    EngineError::BadInput(Problem::new(format!("the recording: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path as FilePath;

    /// The committed recording, made by `tests/golden/schedulers.py`.
    fn recording() -> Reference {
        Reference::read(&FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schedulers")).unwrap()
    }

    #[test]
    fn every_claimed_case_equals_the_reference() {
        let cases = check(&recording());
        for name in CLAIMED {
            let case = cases.iter().find(|c| c.name == name).expect("a claimed case is recorded");
            assert!(case.outcome.holds(), "{name}: {:?}", case.outcome);
        }
        assert!(cases.len() > CLAIMED.len(), "the recording has cases of its own");
        assert!(cases.iter().all(|c| c.outcome.holds()), "{:?}", cases.iter().find(|c| !c.outcome.holds()));
    }

    #[test]
    fn a_wrong_prediction_does_not_pass() {
        let mut reference = recording();
        let other = reference.json["cases"]["heun"]["trace"][1]["model_output"].clone();
        reference.json["cases"]["heun"]["trace"][0]["model_output"] = other;
        let cases = check(&reference);
        let failing: Vec<&str> = cases.iter().filter(|c| !c.outcome.holds()).map(|c| c.name.as_str()).collect();
        assert_eq!(failing, ["heun"]);
    }

    #[test]
    fn what_is_not_offered_is_said() {
        let mut reference = recording();
        let case = &mut reference.json["cases"]["unipc_o2"];
        case["config"]["use_flow_sigmas"] = true.into();
        reference.json["cases"]["lcm"]["cls"] = "TCDScheduler".into();
        let cases = check(&reference);
        let not_offered = cases.iter().filter(|c| matches!(c.outcome, Outcome::NotOffered(_))).count();
        assert_eq!(not_offered, 2);
    }
}
