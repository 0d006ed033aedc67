//! A recipe as people write it, with anything left out, and the one place where it becomes a
//! [`Recipe`]. Knows the limits of every field; knows no HTTP and no store.

use crate::{Format, ImageRef, ModelInfo, Preset, Recipe, Sampler, Schedule};
use serde::{Deserialize, Serialize};

/// Longest prompt, in characters.
pub const MAX_PROMPT: usize = 8_000;
/// Largest seed: 2^53 - 1, the largest whole number that JavaScript keeps.
pub const MAX_SEED: u64 = (1 << 53) - 1;
/// Most sampling steps.
pub const MAX_STEPS: u32 = 150;
/// Largest guidance scale.
pub const MAX_GUIDANCE: f32 = 30.0;
/// Most pictures of one job.
pub const MAX_BATCH: u32 = 4;
/// Most layers skipped, as A1111 counts.
pub const MAX_CLIP_SKIP: u32 = 12;

/// A recipe with everything optional. What is absent takes the model's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of Recipe, documented there")]
pub struct Draft {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_rescale: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_skip: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// Takes its steps where `steps` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// One field that cannot be taken, and what could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// Name of the field.
    pub field: String,
    /// A sentence on what is wrong and what is allowed.
    pub message: String,
}

/// Collects every problem, so that a form shows all of them at once.
struct Checks(Vec<FieldProblem>);

impl Checks {
    fn problem(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldProblem { field: field.into(), message: message.into() });
    }

    fn whole(&mut self, field: &str, value: u32, min: u32, max: u32) -> u32 {
        if !(min..=max).contains(&value) {
            self.problem(field, format!("{value} is not between {min} and {max}."));
        }
        value
    }

    fn real(&mut self, field: &str, value: f32, min: f32, max: f32) -> f32 {
        if !(min..=max).contains(&value) {
            self.problem(field, format!("{value} is not between {min} and {max}."));
        }
        value
    }

    fn text(&mut self, field: &str, value: Option<String>) -> String {
        let value = value.unwrap_or_default();
        let length = value.chars().count();
        if length > MAX_PROMPT {
            self.problem(field, format!("{length} characters are over the limit of {MAX_PROMPT}."));
        }
        if value.contains('\0') {
            self.problem(field, "It holds a NUL character; remove it.");
        }
        value
    }

    fn side(&mut self, field: &str, value: u32, model: &ModelInfo) -> u32 {
        let (min, max) = model.side;
        if !value.is_multiple_of(8) || !(min..=max).contains(&value) {
            let nearest = (value.clamp(min, max) + 4) / 8 * 8;
            let nearest = nearest.clamp(min.next_multiple_of(8), max / 8 * 8);
            self.problem(field, format!("{value} is not a multiple of 8 between {min} and {max}; the nearest is {nearest}."));
        }
        value
    }

    fn image(&mut self, field: &str, value: Option<String>) -> Option<ImageRef> {
        match value.map(|v| v.parse::<ImageRef>()) {
            None => None,
            Some(Ok(image)) => Some(image),
            Some(Err(e)) => {
                self.problem(field, format!("{e}."));
                None
            }
        }
    }
}

impl Draft {
    /// The recipe that this draft means for `model`, or every reason why it means none.
    /// `random_seed` is taken where the draft names no seed.
    pub fn resolve(self, model: &ModelInfo, random_seed: u64) -> Result<Recipe, Vec<FieldProblem>> {
        let mut check = Checks(Vec::new());
        let d = &model.defaults;
        let preset_steps = self.preset.and_then(|p| model.presets.iter().find(|(q, _)| *q == p)).map(|(_, steps)| *steps);
        let (sampler, schedule) = choose_sampler(&mut check, model, self.sampler.as_deref(), self.schedule.as_deref());
        let seed = self.seed.unwrap_or(random_seed & MAX_SEED);
        if seed > MAX_SEED {
            check.problem("seed", format!("{seed} is over the largest seed, {MAX_SEED}."));
        }
        let recipe = Recipe {
            model: model.id.clone(),
            prompt: check.text("prompt", self.prompt),
            negative_prompt: check.text("negative_prompt", self.negative_prompt),
            width: check.side("width", self.width.unwrap_or(model.native.0), model),
            height: check.side("height", self.height.unwrap_or(model.native.1), model),
            steps: check.whole("steps", self.steps.or(preset_steps).unwrap_or(d.steps), 1, MAX_STEPS),
            guidance: check.real("guidance", self.guidance.unwrap_or(d.guidance), 0.0, MAX_GUIDANCE),
            sampler,
            schedule,
            eta: check.real("eta", self.eta.unwrap_or(0.0), 0.0, 1.0),
            guidance_rescale: check.real("guidance_rescale", self.guidance_rescale.unwrap_or(d.guidance_rescale), 0.0, 1.0),
            clip_skip: check.whole("clip_skip", self.clip_skip.unwrap_or(d.clip_skip), 1, MAX_CLIP_SKIP),
            seed,
            batch: check.whole("batch", self.batch.unwrap_or(1), 1, MAX_BATCH),
            strength: None,
            image: check.image("image", self.image),
            mask: check.image("mask", self.mask),
            format: self.format.unwrap_or_default(),
        };
        let recipe = with_reference(&mut check, recipe, self.strength, model);
        if check.0.is_empty() { Ok(recipe) } else { Err(check.0) }
    }
}

/// The rules between `image`, `mask` and `strength`.
fn with_reference(check: &mut Checks, recipe: Recipe, strength: Option<f32>, model: &ModelInfo) -> Recipe {
    if recipe.mask.is_some() && recipe.image.is_none() {
        check.problem("mask", "A mask needs a picture to paint on: give \"image\" too.");
    }
    if model.inpaint_channels && (recipe.image.is_none() || recipe.mask.is_none()) {
        let field = if recipe.image.is_none() { "image" } else { "mask" };
        check.problem(field, format!("{} is an inpainting model: it needs \"image\" and \"mask\".", model.name));
    }
    let strength = match (&recipe.image, strength) {
        (Some(_), given) => Some(check.real("strength", given.unwrap_or(model.defaults.strength), 0.01, 1.0)),
        (None, Some(_)) => {
            check.problem("strength", "Strength belongs to a reference picture: give \"image\" too.");
            None
        }
        (None, None) => None,
    };
    Recipe { strength, ..recipe }
}

/// Sampler and schedule that the model offers, as a pair that exists.
fn choose_sampler(check: &mut Checks, model: &ModelInfo, sampler: Option<&str>, schedule: Option<&str>) -> (Sampler, Schedule) {
    let offered = model.samplers.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
    let chosen = match sampler.map(str::parse::<Sampler>) {
        None => model.defaults.sampler,
        Some(Ok(s)) if model.samplers.contains(&s) => s,
        Some(_) => {
            check.problem("sampler", format!("\"{}\" is not one of {offered}.", sampler.unwrap_or_default()));
            return (model.defaults.sampler, model.defaults.schedule);
        }
    };
    let pairs = chosen.schedules();
    let allowed = pairs.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
    let schedule = match schedule.map(str::parse::<Schedule>) {
        None if pairs.contains(&model.defaults.schedule) => model.defaults.schedule,
        None => pairs[0],
        Some(Ok(s)) if pairs.contains(&s) => s,
        Some(_) => {
            check.problem(
                "schedule",
                format!("\"{}\" is not one of {allowed}, which {} has.", schedule.unwrap_or_default(), chosen.label()),
            );
            pairs[0]
        }
    };
    (chosen, schedule)
}
