//! The families `sd15` and `sd15-inpaint`: every recorded call of a network by itself, then the whole run with the recorded
//! noise. Knows the layout of those recordings; knows no arithmetic.

use super::{
    Case, Outcome, Reference, Stage, Tensor, digest,
    replayed::Replayed,
    tolerance::{self, NETWORK, Of, WHOLE},
};
use crate::{
    EngineError, Step,
    device::Element,
    guidance::Guidance,
    ops::{Backend, Buf, Shape},
    pipelines::stable_diffusion::{Job, Parts, StableDiffusion},
    plan::{Graph, Planner},
    samplers::Path,
    schedule::{Class, SchedulerConfig, Settings},
    session::Session,
    text::{Chunk, Tokenizer, prompt},
    weights::folder::Folder,
};
use protocol::Problem;
use serde_json::Value;
use std::{ops::ControlFlow, path};

/// The families that are compared here.
pub const FAMILIES: [&str; 2] = ["sd15", "sd15-inpaint"];
/// Allowed mean difference of a picture that was made with nothing put right on the way.
const ADRIFT: f64 = 1e-2;
/// A difference that networks of f32 have at least.
const ROUNDING: f64 = 1e-6;
/// Two whole numbers are equal, or they are not.
const EXACT: f64 = 0.0;
/// Pictures of 8 bits may differ by one, where a value lies on the border of two.
const ONE_LEVEL: f64 = 1.01 / 255.0;

/// Every case of the recording in `dir`, by a backend that keeps numbers as `element`.
pub fn check(
    dir: &path::Path,
    reference: &Reference,
    backend: Box<dyn Backend>,
    element: Element,
) -> Result<Vec<Case>, EngineError> {
    let parts = Parts::of_folder(&Folder::Disk(dir.join("pipeline")))?;
    let mut model = StableDiffusion::load(parts, backend, &mut |_, _| ControlFlow::Continue(()))?;
    let case = |name: &str, found: Result<Vec<Stage>, EngineError>| Case {
        family: reference.family().into(),
        name: name.into(),
        outcome: found.map_or_else(|e| Outcome::Failed(e.to_string()), Outcome::Compared),
    };
    let mut cases = vec![case("tokenizer", tokens(reference, &model.tokenizer))];
    for (name, recorded) in reference.cases() {
        let class = recorded["scheduler"].as_str().unwrap_or_default();
        let not_offered = |what: String| Case { outcome: Outcome::NotOffered(what), ..case(name, Ok(Vec::new())) };
        cases.push(match Class::from_name(class) {
            Some(_) if !tolerance::knows(reference, element) => {
                not_offered(format!("{}: how far the reference is in it is not recorded", element.suffix()))
            }
            Some(class) => case(name, compare(&mut model, reference, recorded, class, element)),
            None => not_offered(class.into()),
        });
    }
    Ok(cases)
}

/// The probes of the tokenizer.
fn tokens(reference: &Reference, tokenizer: &Tokenizer) -> Result<Vec<Stage>, EngineError> {
    let probes = reference.json["tokenizers"]["tokenizer"].as_array().ok_or_else(|| bad("no tokenizer probes"))?;
    let stage = |probe: &Value| {
        let text = probe["text"].as_str().unwrap_or_default();
        let ids = probe["ids"].as_array().into_iter().flatten().filter_map(|id| Some(id.as_f64()? as f32));
        let mut found = vec![tokenizer.begin as f32];
        found.extend(tokenizer.encode(text).iter().map(|&id| id as f32));
        found.push(tokenizer.end as f32);
        Stage::compare(format!("{text:?}"), &found, &ids.collect::<Vec<_>>(), EXACT)
    };
    Ok(probes.iter().map(stage).collect())
}

fn compare(
    model: &mut StableDiffusion,
    reference: &Reference,
    recorded: &Value,
    class: Class,
    element: Element,
) -> Result<Vec<Stage>, EngineError> {
    let events = recorded["trace"].as_array().ok_or_else(|| bad("no trace"))?;
    let call = &recorded["call"];
    let prompts = texts(&call["prompt"]);
    let negative = texts(&call["negative_prompt"]);
    let mut stages = Vec::new();
    // 1. The tokens of the prompts, in the order in which they were encoded.
    for (event, prompts) in events.iter().filter(|e| e["who"] == "text_encoder").zip([&prompts, &negative]) {
        let ids: Vec<f32> = prompts.iter().flat_map(|p| chunk(&model.tokenizer, p).ids).map(|id| id as f32).collect();
        stages.push(Stage::compare("tokens", &ids, &reference.tensor(&event["in"]["input_ids"])?.values, EXACT));
    }
    // 2. Every call of a network, with the recorded inputs.
    let mut rounding = ROUNDING;
    for event in events.iter().filter(|e| e["ev"] == "call") {
        if let Some(mut stage) = network(model, reference, event)? {
            stage.tolerance = tolerance::of_half(event, Of::Network, element).unwrap_or(NETWORK);
            rounding = rounding.max(stage.worst.min(NETWORK));
            stages.push(stage);
        }
    }
    // 3. The whole run, step by step and then by itself.
    let job = job(model, reference, recorded, class, (&prompts, &negative))?;
    stages.extend(whole(model, reference, &job, events, element)?);
    stages.extend(alone(model, reference, &job, events, (rounding, element))?);
    Ok(stages)
}

/// One prompt, or one for each picture.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().filter_map(|v| Some(v.as_str()?.to_owned())).collect(),
        other => other.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// The tokens that the reference makes of a text, cut off after one chunk.
fn chunk(tokenizer: &Tokenizer, text: &str) -> Chunk {
    let mut ids = vec![tokenizer.begin];
    ids.extend(tokenizer.encode(text).into_iter().take(prompt::CHUNK));
    ids.push(tokenizer.end);
    ids.resize(prompt::PLACES, tokenizer.pad);
    Chunk { ids, weights: vec![1.0; prompt::PLACES] }
}

/// One recorded call of a network; `None` for other calls.
fn network(model: &mut StableDiffusion, reference: &Reference, event: &Value) -> Result<Option<Stage>, EngineError> {
    let who = event["who"].as_str().unwrap_or_default();
    let (given, wanted) = (&event["in"], &event["out"]);
    let name = format!("{who} {}", event["n"]);
    let (found, expected) = match who {
        "text_encoder" => {
            let ids = reference.tensor(&given["input_ids"])?;
            let encoder = model.text_encoder.clone();
            let found = evaluate(model, &[ids], |g, x| encoder.forward(g, x[0], 0).0)?;
            (found, &wanted["last_hidden_state"])
        }
        "vae.encode" => {
            let vae = model.vae.clone();
            let found = evaluate(model, &[reference.tensor(&given["x"])?], |g, x| vae.encode(g, x[0]))?;
            (found, &wanted["latent_dist.moments"])
        }
        "vae.decode" => {
            let vae = model.vae.clone();
            let found = evaluate(model, &[reference.tensor(&given["z"])?], |g, x| vae.decode(g, x[0]))?;
            (found, &wanted["0"])
        }
        "unet" => (denoise(model, reference, given)?, &wanted["0"]),
        _ => return Ok(None),
    };
    reference.compare(name, &found, expected, NETWORK).map(Some)
}

/// The extent of a recorded tensor, channels last.
fn extent(tensor: &Tensor) -> Result<Shape, EngineError> {
    match tensor.dims[..] {
        [n, c, h, w] => Ok(Shape::new(n, h, w, c)),
        [n, tokens, c] => Ok(Shape::sequence(n, tokens, c)),
        [n, tokens] => Ok(Shape::sequence(n, tokens, 1)),
        _ => Err(bad(&format!("a tensor of {:?}", tensor.dims))),
    }
}

/// Runs one forward pass on recorded inputs.
fn evaluate(
    model: &mut StableDiffusion,
    inputs: &[&Tensor],
    forward: impl FnOnce(&mut Graph<'_>, &[Buf]) -> Buf,
) -> Result<Vec<f32>, EngineError> {
    let mut planner = Planner::new();
    let coefficients = Session::coefficients(&mut planner);
    let shapes: Vec<Shape> = inputs.iter().map(|t| extent(t)).collect::<Result<_, _>>()?;
    let kept: Vec<Buf> = shapes.iter().map(|s| planner.keep(*s)).collect();
    let mut result = None;
    let program = planner.program("network", &*model.backend, |g| {
        let x = forward(g, &kept);
        // One more operation, so that the result is still there when the program has ended.
        result = Some(g.activate(x, crate::ops::Activation::None));
    });
    let plan = planner.finish();
    let on_step = &mut |_: Step<'_>| ControlFlow::Continue(());
    let mut session = Session::new(&mut *model.backend, &plan, coefficients, on_step)?;
    for (buf, tensor) in kept.iter().zip(inputs) {
        session.write(*buf, &tensor.channels_last());
    }
    session.run(&program)?;
    Ok(session.read(result.ok_or_else(|| bad("a forward pass without result"))?))
}

/// One recorded call of the denoiser.
fn denoise(model: &mut StableDiffusion, reference: &Reference, given: &Value) -> Result<Vec<f32>, EngineError> {
    let (sample, text) = (reference.tensor(&given["sample"])?, reference.tensor(&given["encoder_hidden_states"])?);
    let timestep = match given["timestep"].as_f64() {
        Some(t) => t as f32,
        None => reference.tensor(&given["timestep"])?.values[0],
    };
    let (n, tokens) = (sample.dims[0], text.dims[1]);
    let mut planner = Planner::new();
    let coefficients = Session::coefficients(&mut planner);
    let (x, y) = (planner.keep(extent(sample)?), planner.keep(extent(text)?));
    let timesteps = planner.keep(Shape::vector(n));
    let result = planner.keep(x.shape.channels(model.unet.config().out_channels));
    let kv = model.unet.keep_text(&mut planner, &*model.backend, n, tokens);
    let pack = planner.program("text", &*model.backend, |g| model.unet.pack_text(g, y, &kv));
    let program = planner.program("denoiser", &*model.backend, |g| {
        let prediction = model.unet.forward(g, x, timesteps, &kv);
        g.store(result, prediction);
    });
    let plan = planner.finish();
    let on_step = &mut |_: Step<'_>| ControlFlow::Continue(());
    let mut session = Session::new(&mut *model.backend, &plan, coefficients, on_step)?;
    session.write(x, &sample.channels_last());
    session.write(y, &text.values);
    session.write(timesteps, &vec![timestep; n]);
    session.run(&pack)?;
    session.run(&program)?;
    Ok(session.read(result))
}

/// The job that was recorded.
fn job(
    model: &mut StableDiffusion,
    reference: &Reference,
    recorded: &Value,
    class: Class,
    (prompts, negative): (&[String], &[String]),
) -> Result<Job, EngineError> {
    let call = &recorded["call"];
    let number = |name: &str| call[name].as_f64();
    let config: SchedulerConfig =
        serde_json::from_value(recorded["scheduler_config"].clone()).map_err(|e| bad(&format!("the scheduler: {e}")))?;
    let settings = Settings { eta: number("eta").unwrap_or(0.0), ..Settings::new(class, &config)? };
    let steps = number("num_inference_steps").ok_or_else(|| bad("no steps"))? as usize;
    let path = Path::new(settings, steps, number("strength").unwrap_or(1.0) as f32)?;
    let scale = number("guidance_scale").unwrap_or(7.5) as f32;
    let guidance = Guidance { scale, rescale: number("guidance_rescale").unwrap_or(0.0) as f32 };
    // The reference leaves layers out for the prompt only.
    let skip = number("clip_skip").unwrap_or(0.0) as usize;
    let encoded = |model: &mut StableDiffusion, texts: &[String], skip: usize| {
        let chunks = texts.iter().map(|t| chunk(&model.tokenizer, t)).collect::<Vec<_>>();
        let on_step = &mut |_: Step<'_>| ControlFlow::Continue(());
        chunks.iter().map(|c| model.encode(std::slice::from_ref(c), skip, on_step)).collect::<Result<Vec<_>, _>>()
    };
    let mut all = if guidance.counts() { encoded(model, negative, 0)? } else { Vec::new() };
    all.extend(encoded(model, prompts, skip)?);
    let bytes = |name: &str| match &recorded["inputs"][name] {
        Value::Null => Ok(None),
        key => reference.tensor(key).map(Some),
    };
    let (image, mask) = (bytes("image")?, bytes("mask_image")?);
    let size = image.map(|t| (t.dims[0], t.dims[1]));
    let height = number("height").map(|h| h as usize).or(size.map(|s| s.0)).ok_or_else(|| bad("no height"))?;
    let width = number("width").map(|w| w as usize).or(size.map(|s| s.1)).ok_or_else(|| bad("no width"))?;
    let layers = mask.map_or(1, |t| t.values.len() / (height * width));
    Ok(Job {
        width,
        height,
        batch: prompts.len(),
        texts: all,
        guidance,
        path,
        image: image.map(|t| t.values.iter().map(|x| x / 255.0 * 2.0 - 1.0).collect()),
        mask: mask.map(|t| t.values.chunks_exact(layers).map(|x| f32::from(u8::from(x[0] >= 127.5))).collect()),
    })
}

/// The whole run with the recorded noise, each step begun with the recorded latents.
fn whole(
    model: &mut StableDiffusion,
    reference: &Reference,
    job: &Job,
    events: &[Value],
    element: Element,
) -> Result<Vec<Stage>, EngineError> {
    let allowed = |event: &Value| tolerance::of_half(event, Of::Run, element).unwrap_or(WHOLE);
    let most: Vec<f64> = steps(events).map(allowed).collect();
    let on_step = &mut |_: Step<'_>| ControlFlow::Continue(());
    let steps = steps(events).map(|step| reference.tensor(&step["out"]["prev_sample"]).map(Tensor::channels_last));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let mut stages = Vec::new();
    let mut watch = |found: Vec<f32>| {
        let i = stages.len();
        let expected = steps.get(i).cloned();
        let most = most.get(i).copied().unwrap_or(WHOLE);
        stages.push(Stage::compare(format!("run: step {i}"), &found, expected.as_deref().unwrap_or_default(), most));
        expected
    };
    let found = model.run(job, &mut Replayed::new(reference, events)?, on_step, Some(&mut watch))?.concat();
    if stages.len() != steps.len() {
        return Err(bad(&format!("{} evaluations where {} were recorded", stages.len(), steps.len())));
    }
    if let Some(event) = decoding(events) {
        stages.push(reference.compare("run: decoded", &found, &event["out"]["0"], allowed(event))?);
    }
    if let Some(event) = events.iter().find(|e| e["ev"] == "final") {
        let expected: Vec<f32> = reference.tensor(&event["out"]["images"])?.values.iter().map(|x| x / 255.0).collect();
        let bytes: Vec<f32> = found.iter().map(|x| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() / 255.0).collect();
        stages.push(Stage { tolerance: ONE_LEVEL, ..Stage::absolute("run: picture", &bytes, &expected) });
    }
    Ok(stages)
}

fn steps(events: &[Value]) -> impl Iterator<Item = &Value> {
    events.iter().filter(|e| e["ev"] == "step")
}

fn decoding(events: &[Value]) -> Option<&Value> {
    events.iter().find(|e| e["who"] == "vae.decode")
}

/// The whole run with the recorded noise and nothing put right on the way.
///
/// Most runs stay within 2e-5 of the reference. Where DDIM clips what it foresees, guidance multiplies a difference by up to
/// a hundred in one step: there the reference in f64 ends up to 2e-2 away from itself in f32. A recording that says how far
/// (`rounding`) allows twice that where it is more than [`WHOLE`]. For any other the engine finds out how far a run carries a
/// difference: it runs again, with the latents after each step moved by `rounding`, the worst difference of one network of
/// this case. (PyTorch's GroupNorm of channels-last pictures, such as the masked one, is itself 7e-5 away from f64.)
fn alone(
    model: &mut StableDiffusion,
    reference: &Reference,
    job: &Job,
    events: &[Value],
    (rounding, element): (f64, Element),
) -> Result<Vec<Stage>, EngineError> {
    let mut run = |moved: f64| {
        let mut passed = Vec::new();
        let mut watch = |found: Vec<f32>| {
            let instead = (moved > 0.0).then(|| shifted(&found, moved, passed.len()));
            passed.push(found);
            instead
        };
        let on_step = &mut |_: Step<'_>| ControlFlow::Continue(());
        let pictures = model.run(job, &mut Replayed::new(reference, events)?, on_step, Some(&mut watch))?;
        passed.push(pictures.concat());
        Ok::<_, EngineError>(passed)
    };
    let found = run(0.0)?;
    let told = steps(events).map(|e| (e, "prev_sample")).chain(decoding(events).map(|e| (e, "0")));
    let told: Vec<(&Value, &str)> = told.collect();
    let half = |event: &Value| tolerance::of_half(event, Of::Alone, element);
    let carried = match told.iter().all(|(event, _)| event["rounding"].is_number() || half(event).is_some()) {
        true => found.clone(),
        false => run(rounding)?,
    };
    let stage = |(i, (event, out)): (usize, &(&Value, &str))| {
        let spread = event["rounding"].as_f64().unwrap_or_else(|| Stage::compare("", &carried[i], &found[i], WHOLE).worst);
        let name = if *out == "0" { "alone: decoded".into() } else { format!("alone: step {i}") };
        let most = half(event).unwrap_or(WHOLE.max(2.0 * spread));
        reference.compare(name, &found[i], &event["out"][*out], most)
    };
    let mut stages = told.iter().enumerate().map(stage).collect::<Result<Vec<_>, _>>()?;
    // Where a run carries differences far, the largest says little. A digest has no mean difference to offer.
    if let Some(Ok(expected)) = decoding(events).map(|event| reference.tensor(&event["out"]["0"])) {
        stages.push(Stage::mean("alone: decoded, mean", &found[found.len() - 1], &expected.channels_last(), ADRIFT));
    }
    Ok(stages)
}

/// Values moved up or down by a share of the largest.
fn shifted(values: &[f32], share: f64, run: usize) -> Vec<f32> {
    let by = (share * values.iter().fold(0.0f64, |most, v| most.max(f64::from(v.abs())))) as f32;
    let signs = digest::seed(&format!("shifted {run}"));
    (0..).zip(values).map(|(i, v)| if digest::word(signs, i) & 1 == 0 { v + by } else { v - by }).collect()
}

fn bad(what: &str) -> EngineError {
    EngineError::BadInput(Problem::new(format!("the recording: {what}")))
}
