//! The thread that generates: one job at a time, with the last model kept until it was idle for long enough.
//! Knows pipelines, files of pictures and messages; knows no stream.

use super::{Loads, Shared, estimate::Memory, jobs::Cancel, outbox};
use crate::{EngineError, Gray8, Inputs, Picture, Pipeline, Rgb8, Step, library::Entry, process};
use media::{decode, encode, resize, thumb};
use protocol::{FromEngine, JobId, Problem, Recipe};
use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant, SystemTime},
};

/// Time between two previews of a job; the first and the last step have one always.
const PREVIEW_EVERY: Duration = Duration::from_millis(250);
/// Time between two messages on loading.
const LOADING_EVERY: Duration = Duration::from_millis(100);

/// Work.
pub(super) enum Order {
    /// Make pictures.
    Generate(Box<Generate>),
    /// Forget the loaded model.
    Unload,
}

/// [`protocol::ToEngine::Generate`], with the flag that stops it.
pub(super) struct Generate {
    pub(super) job: JobId,
    pub(super) recipe: Recipe,
    pub(super) image: Option<Vec<u8>>,
    pub(super) mask: Option<Vec<u8>>,
    pub(super) cancel: Cancel,
}

/// A model in memory.
struct Loaded {
    id: String,
    changed: Option<SystemTime>,
    pipeline: Box<dyn Pipeline>,
}

/// Works until the panel hangs up.
pub(super) fn run(shared: &Shared, loads: &dyn Loads, orders: &Receiver<Order>) {
    let mut worker = Worker { shared, loads, loaded: None, memory: Memory::default(), rested: true };
    loop {
        // Without anything to forget there is nothing to wake up for.
        let order = match worker.rested {
            true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(shared.settings.idle),
        };
        match order {
            Ok(Order::Generate(order)) => worker.job(&order),
            Ok(Order::Unload) | Err(RecvTimeoutError::Timeout) => worker.unload(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    loads: &'a dyn Loads,
    loaded: Option<Loaded>,
    memory: Memory,
    /// Nothing happened since memory was last given back.
    rested: bool,
}

impl Worker<'_> {
    fn unload(&mut self) {
        self.loaded = None;
        self.rested = true;
        process::trim();
        self.shared.outbox.send(FromEngine::Unloaded);
    }

    /// One job, to exactly one of its three ends. A panic is such an end too.
    fn job(&mut self, order: &Generate) {
        self.rested = false;
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.generate(order, began)));
        let job = order.job.clone();
        self.shared.jobs.end(&job);
        self.shared.outbox.send(match outcome {
            Ok(Ok(())) => FromEngine::Done { job, seconds: began.elapsed().as_secs_f32() },
            Ok(Err(EngineError::Cancelled)) => FromEngine::Cancelled { job },
            Ok(Err(EngineError::GpuFull(problem))) => FromEngine::GpuFull { job, problem },
            Ok(Err(error)) => {
                let problem = error.problem().cloned().unwrap_or_else(|| Problem::new(error.to_string()));
                FromEngine::Failed { job, problem }
            }
            Err(_) => {
                // Whatever the model was in the middle of, it is not to be trusted with the next job.
                self.loaded = None;
                let problem = Problem::new("The engine stumbled over this picture.").remedy("Change a setting and try again.");
                FromEngine::Failed { job, problem }
            }
        });
    }

    fn generate(&mut self, order: &Generate, began: Instant) -> Result<(), EngineError> {
        let (recipe, shared) = (&order.recipe, self.shared);
        let library = shared.library_with(&recipe.model);
        let entry = library.get(&recipe.model).ok_or_else(|| {
            let what = format!("There is no model \"{}\" any more.", recipe.model);
            EngineError::BadModel(Problem::new(what).remedy("Choose another model."))
        })?;
        let inputs = inputs(order)?;
        self.load(entry, order)?;
        let loaded = self.loaded.as_mut().expect("it was just loaded");
        let mut estimate = self.memory.begin(recipe);
        let mut teller = Teller { shared, order, name: &entry.info.name, previewed: None, told: None };
        let mut pictures = Vec::new();
        let started = Instant::now();
        let result = loaded.pipeline.generate(recipe, &inputs, &mut |step| {
            if let Step::Denoise { step, steps, preview } = step {
                let eta_s = estimate.step(step, steps, started.elapsed());
                teller.step(step, steps, eta_s, preview);
            } else if let Step::Loading { done, total } = step {
                teller.loading(done, total);
            }
            teller.flow()
        })?;
        for (index, picture) in (0u32..).zip(result) {
            pictures.push(finished(&order.job, recipe, index, picture)?);
        }
        self.memory.end(estimate, started.elapsed());
        if order.cancel.is_wanted() {
            return Err(EngineError::Cancelled);
        }
        pictures.into_iter().for_each(|picture| shared.outbox.send(picture));
        tracing::info!(job = %order.job, model = %recipe.model, seconds = began.elapsed().as_secs_f32(), "pictures made");
        Ok(())
    }

    /// Has the model of `entry` in memory, and no other.
    fn load(&mut self, entry: &Entry, order: &Generate) -> Result<(), EngineError> {
        let is_current = |l: &Loaded| l.id == entry.info.id && l.changed == entry.changed;
        if self.loaded.as_ref().is_some_and(is_current) {
            return Ok(());
        }
        if self.loaded.take().is_some() {
            process::trim();
        }
        let shared = self.shared;
        let mut teller = Teller { shared, order, name: &entry.info.name, previewed: None, told: None };
        let pipeline = self.loads.load(entry, &mut |done, total| {
            teller.loading(done, total);
            teller.flow()
        })?;
        self.loaded = Some(Loaded { id: entry.info.id.clone(), changed: entry.changed, pipeline });
        Ok(())
    }
}

/// Tells the panel of one job's progress, and not too often.
struct Teller<'a> {
    shared: &'a Shared,
    order: &'a Generate,
    name: &'a str,
    previewed: Option<Instant>,
    told: Option<Instant>,
}

impl Teller<'_> {
    fn flow(&self) -> ControlFlow<()> {
        if self.order.cancel.is_wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn loading(&mut self, done: u64, total: u64) {
        if done < total && self.told.is_some_and(|at| at.elapsed() < LOADING_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let (job, model) = (self.order.job.clone(), self.name.to_owned());
        self.shared.outbox.send(FromEngine::Loading { job, model, done, total });
    }

    fn step(&mut self, step: u32, steps: u32, eta_s: f32, preview: &dyn Fn() -> Picture) {
        let is_due = self.previewed.is_none_or(|at| at.elapsed() >= PREVIEW_EVERY) && !self.shared.outbox.preview_waits();
        let wanted = is_due || step == 1 || step == steps;
        if wanted {
            self.previewed = Some(Instant::now());
        }
        let preview = wanted.then(preview);
        self.shared.outbox.step(outbox::Step { job: self.order.job.clone(), step, steps, eta_s, preview });
    }
}

/// The pictures that a recipe refers to, decoded and brought to its size.
fn inputs(order: &Generate) -> Result<Inputs, EngineError> {
    let (width, height) = (order.recipe.width, order.recipe.height);
    let wrong = |place: &str, error: media::DecodeError| {
        let problem = Problem::new(format!("The {place} cannot be used: {error}.")).at(place);
        EngineError::BadInput(problem.remedy("Give another picture."))
    };
    let image = match &order.image {
        None => None,
        Some(bytes) => {
            let picture = resize::cover(&decode::rgb(bytes).map_err(|e| wrong("reference picture", e))?, width, height);
            Some(Rgb8 { width, height, data: picture.into_data() })
        }
    };
    let mask = match &order.mask {
        None => None,
        Some(bytes) => {
            let mask = resize::cover_mask(&decode::mask(bytes).map_err(|e| wrong("mask", e))?, width, height);
            Some(Gray8 { width, height, data: mask.into_data() })
        }
    };
    Ok(Inputs { image, mask })
}

/// A finished picture as the message that carries it.
fn finished(job: &JobId, recipe: &Recipe, index: u32, picture: Picture) -> Result<FromEngine, EngineError> {
    let wrong = |what: String| EngineError::Other(Problem::new(what));
    let (width, height) = (picture.width, picture.height);
    let picture =
        media::Rgb8::new(width, height, picture.rgb).ok_or_else(|| wrong(format!("The picture is not {width} × {height}.")))?;
    let file = encode::file(&picture, &recipe.of_picture(index)).map_err(|e| wrong(format!("{e}.")))?;
    let thumb = thumb::thumbnail(&picture).map_err(|e| wrong(format!("{e}.")))?;
    Ok(FromEngine::Picture { job: job.clone(), index, width, height, file, thumb })
}
