//! `scheduler_config.json` read into [`Settings`]: the model decides betas, prediction type, offset and
//! spacing, the recipe decides the sampler and how sigmas are spread. Knows no steps.

use super::betas::{self, BetaCurve, NoiseTable};
use super::spacing::Spacing;
use super::spread::{Interpolation, Spread};
use super::{LastSigma, ScheduleError};
use crate::samplers::{dpm_solver, unipc};
use protocol::{Sampler, Schedule};
use serde::Deserialize;

/// Most training timesteps: a hundred times what any model has.
const MAX_TRAIN_STEPS: usize = 100_000;

/// The samplers by their family of formulas, named as the reference's classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `DDIMScheduler`.
    Ddim,
    /// `PNDMScheduler`.
    Pndm,
    /// `EulerDiscreteScheduler`.
    Euler,
    /// `EulerAncestralDiscreteScheduler`.
    EulerAncestral,
    /// `HeunDiscreteScheduler`.
    Heun,
    /// `DPMSolverMultistepScheduler`.
    DpmSolver,
    /// `UniPCMultistepScheduler`.
    Unipc,
    /// `LCMScheduler`.
    Lcm,
}

impl Class {
    /// The class of that name in the reference; `None` for one that is not offered.
    pub fn from_name(name: &str) -> Option<Class> {
        Some(match name {
            "DDIMScheduler" => Class::Ddim,
            "PNDMScheduler" => Class::Pndm,
            "EulerDiscreteScheduler" => Class::Euler,
            "EulerAncestralDiscreteScheduler" => Class::EulerAncestral,
            "HeunDiscreteScheduler" => Class::Heun,
            "DPMSolverMultistepScheduler" => Class::DpmSolver,
            "UniPCMultistepScheduler" => Class::Unipc,
            "LCMScheduler" => Class::Lcm,
            _ => return None,
        })
    }

    /// The class of a recipe's sampler.
    pub fn of(sampler: Sampler) -> Class {
        match sampler {
            Sampler::Ddim => Class::Ddim,
            Sampler::Pndm => Class::Pndm,
            Sampler::Euler => Class::Euler,
            Sampler::EulerA => Class::EulerAncestral,
            Sampler::Heun => Class::Heun,
            Sampler::Dpmpp2m | Sampler::Dpmpp2mSde => Class::DpmSolver,
            Sampler::Unipc => Class::Unipc,
            Sampler::Lcm => Class::Lcm,
        }
    }
}

/// What the denoiser predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise.
    #[default]
    Epsilon,
    /// The velocity (Salimans and Ho 2022).
    VPrediction,
    /// The clean sample.
    Sample,
}

/// `scheduler_config.json` as it is written: every field may be absent or null.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the reference's scheduler configurations")]
pub struct SchedulerConfig {
    pub num_train_timesteps: Option<usize>,
    pub beta_start: Option<f64>,
    pub beta_end: Option<f64>,
    pub beta_schedule: Option<BetaCurve>,
    pub trained_betas: Option<Vec<f32>>,
    pub prediction_type: Option<Prediction>,
    pub timestep_spacing: Option<Spacing>,
    pub timestep_type: Option<String>,
    pub steps_offset: Option<usize>,
    pub rescale_betas_zero_snr: Option<bool>,
    pub set_alpha_to_one: Option<bool>,
    pub skip_prk_steps: Option<bool>,
    pub clip_sample: Option<bool>,
    pub clip_sample_range: Option<f64>,
    pub thresholding: Option<bool>,
    pub dynamic_thresholding_ratio: Option<f64>,
    pub sample_max_value: Option<f64>,
    pub interpolation_type: Option<String>,
    pub final_sigmas_type: Option<String>,
    pub sigma_min: Option<f64>,
    pub sigma_max: Option<f64>,
    pub use_karras_sigmas: Option<bool>,
    pub use_exponential_sigmas: Option<bool>,
    pub use_beta_sigmas: Option<bool>,
    pub use_lu_lambdas: Option<bool>,
    pub use_flow_sigmas: Option<bool>,
    pub solver_order: Option<usize>,
    pub algorithm_type: Option<String>,
    pub solver_type: Option<String>,
    pub lower_order_final: Option<bool>,
    pub euler_at_final: Option<bool>,
    pub predict_x0: Option<bool>,
    pub disable_corrector: Option<Vec<usize>>,
    pub original_inference_steps: Option<usize>,
    pub timestep_scaling: Option<f64>,
}

impl SchedulerConfig {
    /// What Stable Diffusion 1.x was trained with, for checkpoints that carry no configuration.
    pub fn stable_diffusion_1() -> SchedulerConfig {
        SchedulerConfig {
            beta_start: Some(0.00085),
            beta_end: Some(0.012),
            beta_schedule: Some(BetaCurve::ScaledLinear),
            steps_offset: Some(1),
            set_alpha_to_one: Some(false),
            skip_prk_steps: Some(true),
            clip_sample: Some(false),
            ..SchedulerConfig::default()
        }
    }

    /// The same model's configuration with the sampling of a recipe.
    ///
    /// Latents are never clipped or thresholded: both belong to models of pixels.
    fn for_recipe(&self, sampler: Sampler, schedule: Schedule) -> SchedulerConfig {
        let algorithm = if sampler == Sampler::Dpmpp2mSde { "sde-dpmsolver++" } else { "dpmsolver++" };
        SchedulerConfig {
            use_karras_sigmas: Some(schedule == Schedule::Karras),
            use_exponential_sigmas: Some(schedule == Schedule::Exponential),
            use_beta_sigmas: Some(schedule == Schedule::Beta),
            use_lu_lambdas: None,
            solver_order: Some(2),
            algorithm_type: Some(algorithm.into()),
            solver_type: None,
            lower_order_final: None,
            euler_at_final: None,
            predict_x0: None,
            disable_corrector: None,
            final_sigmas_type: None,
            interpolation_type: None,
            skip_prk_steps: Some(true),
            clip_sample: Some(false),
            thresholding: Some(false),
            ..self.clone()
        }
    }
}

/// What is done to a predicted clean sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Nothing.
    None,
    /// Clamped to plus and minus this.
    Range(f64),
    /// Dynamic thresholding (Saharia et al. 2022): clamped to the `quantile` of its magnitudes, which is
    /// kept within 1..=`max`, and divided by it.
    Quantile {
        /// 0 to 1.
        quantile: f64,
        /// Largest threshold.
        max: f64,
    },
}

/// Everything that a schedule and a sampler need, with the defaults of the class filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whose formulas.
    pub class: Class,
    /// Training timesteps.
    pub train_steps: usize,
    /// Shape of the betas.
    pub betas: BetaCurve,
    /// First and last beta.
    pub beta_ends: (f64, f64),
    /// Betas given one by one, instead.
    pub trained_betas: Option<Vec<f32>>,
    /// Rescale to zero terminal signal-to-noise.
    pub zero_snr: bool,
    /// What the denoiser predicts.
    pub prediction: Prediction,
    /// Spacing of timesteps.
    pub spacing: Spacing,
    /// Added to leading timesteps.
    pub steps_offset: usize,
    /// How sigmas are spread.
    pub spread: Spread,
    /// How sigmas between timesteps are read.
    pub interpolation: Interpolation,
    /// The last sigma.
    pub last_sigma: LastSigma,
    /// Smallest sigma of a spread, when not the table's.
    pub sigma_min: Option<f64>,
    /// Largest sigma of a spread, when not the table's.
    pub sigma_max: Option<f64>,
    /// Before timestep 0 lies a clean sample; otherwise the level of timestep 0.
    pub alpha_one_at_end: bool,
    /// What is done to a predicted clean sample.
    pub clip: Clip,
    /// PNDM without Runge-Kutta steps.
    pub skip_prk: bool,
    /// Fresh noise of DDIM, 0 to 1.
    pub eta: f64,
    /// DPM-Solver's own.
    pub dpm: dpm_solver::Options,
    /// UniPC's own.
    pub unipc: unipc::Options,
    /// Steps that LCM's distillation kept.
    pub original_steps: usize,
    /// LCM's factor on timesteps in its boundary condition.
    pub timestep_scaling: f64,
}

impl Settings {
    /// The settings of a recipe's sampler on a model.
    pub fn for_recipe(
        config: &SchedulerConfig,
        sampler: Sampler,
        schedule: Schedule,
        eta: f32,
    ) -> Result<Settings, ScheduleError> {
        let settings = Settings::new(Class::of(sampler), &config.for_recipe(sampler, schedule))?;
        Ok(Settings { eta: f64::from(eta), ..settings })
    }

    /// The settings of a class as the configuration spells them.
    pub fn new(class: Class, config: &SchedulerConfig) -> Result<Settings, ScheduleError> {
        let c = config;
        refuse_what_is_not_offered(c)?;
        let latent = matches!(class, Class::Heun | Class::Lcm);
        let curve = if class == Class::Lcm { BetaCurve::ScaledLinear } else { BetaCurve::Linear };
        let defaults = if latent { (0.00085, 0.012) } else { (0.0001, 0.02) };
        let leading = matches!(class, Class::Ddim | Class::Pndm | Class::Lcm);
        let train_steps = c.trained_betas.as_ref().map_or(c.num_train_timesteps.unwrap_or(1000), Vec::len);
        let original_steps = c.original_inference_steps.unwrap_or(50);
        let steps_offset = c.steps_offset.unwrap_or(0);
        if !(2..=MAX_TRAIN_STEPS).contains(&train_steps) || steps_offset >= train_steps {
            return Err(ScheduleError::Config(format!("{train_steps} training steps with an offset of {steps_offset}")));
        }
        if original_steps == 0 || original_steps > train_steps {
            return Err(ScheduleError::Config(format!("{original_steps} of {train_steps} training steps distilled")));
        }
        Ok(Settings {
            class,
            train_steps,
            betas: c.beta_schedule.unwrap_or(curve),
            beta_ends: (c.beta_start.unwrap_or(defaults.0), c.beta_end.unwrap_or(defaults.1)),
            trained_betas: c.trained_betas.clone(),
            zero_snr: c.rescale_betas_zero_snr.unwrap_or(false) && !matches!(class, Class::Pndm | Class::Heun),
            prediction: c.prediction_type.unwrap_or_default(),
            spacing: c.timestep_spacing.unwrap_or(if leading { Spacing::Leading } else { Spacing::Linspace }),
            steps_offset,
            spread: spread(class, c)?,
            interpolation: interpolation(class, c)?,
            last_sigma: last_sigma(class, c)?,
            sigma_min: c.sigma_min.filter(|_| class == Class::Euler),
            sigma_max: c.sigma_max.filter(|_| class == Class::Euler),
            alpha_one_at_end: c.set_alpha_to_one.unwrap_or(class != Class::Pndm),
            clip: clip(class, c),
            skip_prk: c.skip_prk_steps.unwrap_or(false),
            eta: 0.0,
            dpm: dpm_solver::Options::new(c)?,
            unipc: unipc::Options::new(c)?,
            original_steps,
            timestep_scaling: c.timestep_scaling.unwrap_or(10.0),
        })
    }

    /// The training table. DDIM, PNDM and LCM take a zero signal as it is, the others keep sigma finite.
    pub fn table(&self) -> NoiseTable {
        let (start, end) = self.beta_ends;
        let given = self.trained_betas.clone();
        let betas = given.unwrap_or_else(|| betas::betas(self.betas, start, end, self.train_steps));
        let sigma_space = !matches!(self.class, Class::Ddim | Class::Pndm | Class::Lcm);
        let betas = if self.zero_snr { betas::rescale_zero_terminal_snr(&betas) } else { betas };
        NoiseTable::new(&betas, self.zero_snr && sigma_space)
    }

    /// Evaluations of the denoiser in a step.
    pub fn order(&self) -> usize {
        if self.class == Class::Heun { 2 } else { 1 }
    }

    /// The most steps that can be spaced.
    pub fn most_steps(&self) -> usize {
        match self.class {
            Class::Lcm => self.original_steps,
            Class::DpmSolver | Class::Unipc => self.train_steps - 1,
            _ => self.train_steps,
        }
    }
}

fn refuse_what_is_not_offered(c: &SchedulerConfig) -> Result<(), ScheduleError> {
    let refuse = |what: &str| Err(ScheduleError::Config(format!("{what} is not offered")));
    if c.use_flow_sigmas == Some(true) {
        return refuse("a flow model");
    }
    match c.timestep_type.as_deref() {
        None | Some("discrete") => Ok(()),
        Some(other) => refuse(&format!("timestep_type \"{other}\"")),
    }
}

fn spread(class: Class, c: &SchedulerConfig) -> Result<Spread, ScheduleError> {
    let spreads = !matches!(class, Class::Ddim | Class::Pndm | Class::Lcm | Class::EulerAncestral);
    let flags = [
        (c.use_karras_sigmas, spreads, Spread::Karras),
        (c.use_exponential_sigmas, spreads, Spread::Exponential),
        (c.use_beta_sigmas, spreads, Spread::Beta),
        (c.use_lu_lambdas, class == Class::DpmSolver, Spread::Lu),
    ];
    let mut on = flags.into_iter().filter(|(flag, known, _)| *known && *flag == Some(true)).map(|(_, _, spread)| spread);
    match (on.next(), on.next()) {
        (None, _) => Ok(Spread::Plain),
        (Some(one), None) => Ok(one),
        (Some(a), Some(b)) => Err(ScheduleError::Config(format!("both {a:?} and {b:?} sigmas"))),
    }
}

fn interpolation(class: Class, c: &SchedulerConfig) -> Result<Interpolation, ScheduleError> {
    match c.interpolation_type.as_deref() {
        Some("log_linear") if class == Class::Euler => Ok(Interpolation::LogLinear),
        None | Some("linear") => Ok(Interpolation::Linear),
        Some(_) if class != Class::Euler => Ok(Interpolation::Linear),
        Some(other) => Err(ScheduleError::Config(format!("interpolation_type \"{other}\" is not known"))),
    }
}

fn last_sigma(class: Class, c: &SchedulerConfig) -> Result<LastSigma, ScheduleError> {
    match c.final_sigmas_type.as_deref() {
        Some("sigma_min") if !matches!(class, Class::Heun | Class::EulerAncestral) => Ok(LastSigma::Min),
        None | Some("zero" | "sigma_min") => Ok(LastSigma::Zero),
        Some(other) => Err(ScheduleError::Config(format!("final_sigmas_type \"{other}\" is not known"))),
    }
}

fn clip(class: Class, c: &SchedulerConfig) -> Clip {
    let thresholds = matches!(class, Class::Ddim | Class::DpmSolver | Class::Unipc | Class::Lcm);
    let clips = matches!(class, Class::Ddim | Class::Heun | Class::Lcm);
    if thresholds && c.thresholding.unwrap_or(false) {
        return Clip::Quantile {
            quantile: c.dynamic_thresholding_ratio.unwrap_or(0.995),
            max: c.sample_max_value.unwrap_or(1.0),
        };
    }
    if clips && c.clip_sample.unwrap_or(class == Class::Ddim) {
        return Clip::Range(c.clip_sample_range.unwrap_or(1.0));
    }
    Clip::None
}
