//! `easel bench`: how long one picture takes here, part by part, and how much memory. Knows clocks and
//! /proc; the work is the engine's.

use super::{
    Exit, Failure, Shared,
    compute::{self, Compute},
    say,
};
use anyhow::{Context as _, anyhow};
use engine::{EngineError, Inputs, Step, device, library::Library};
use panel::gpus::Gpus;
use protocol::{Draft, Recipe};
use std::{
    fs,
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Flags of `bench`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Which model [default: the first of `easel models list`]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Width and height in pixels [default: the model's own]
    #[arg(long, value_name = "PIXELS")]
    size: Option<u32>,
    /// Sampling steps
    #[arg(long, default_value_t = 20, value_name = "N")]
    steps: u32,
    /// Pictures made one after another; the first one warms up
    #[arg(long, default_value_t = 3, value_name = "N")]
    rounds: u32,
    #[command(flatten)]
    compute: Compute,
}

/// What one picture took.
struct Round {
    first_step: Duration,
    /// Median of the later steps.
    step: Duration,
    /// From the last step to the pixels.
    decode: Duration,
    whole: Duration,
}

pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let library = Library::scan(&shared.load()?.data.join("models"));
    let entry = match &args.model {
        None => library.entries.first(),
        Some(id) => library.get(id),
    };
    let entry = entry.ok_or_else(|| Failure { exit: Exit::BadInput, why: anyhow!("there is no such model") })?;
    let draft = Draft {
        prompt: Some("a red sunset over blue mountains".into()),
        width: args.size,
        height: args.size,
        steps: Some(args.steps),
        ..Draft::default()
    };
    let recipe = draft
        .resolve(&entry.info, 1)
        .map_err(|p| Failure { exit: Exit::BadInput, why: anyhow!("{}: {}", p[0].field, p[0].message) })?;
    let mut on_gpu = GpuMemory::begin();
    let device = args.compute.choose(device::USUAL, compute::lost)?.device;
    let began = Instant::now();
    let mut pipeline = (entry.family.load)(&entry.source, &device, &mut |_, _| ControlFlow::Continue(()))?;
    let size = format!("{} × {}, {} steps, {device}", recipe.width, recipe.height, recipe.steps);
    say(format_args!("{}, {size}: loaded in {:.2} s", entry.info.id, began.elapsed().as_secs_f64()));
    for round in 0..args.rounds {
        // Asking the driver takes its time: only where nothing is timed in earnest.
        let mut watch = || {
            if round == 0 {
                on_gpu.look()
            }
        };
        print(&measure(&recipe, &mut watch, |on_step| pipeline.generate(&recipe, &Inputs::default(), on_step).map(drop))?);
    }
    let (now, most) = memory().context("reading /proc/self/status")?;
    say(format_args!("memory {now} MB now, {most} MB at most"));
    if let Some(most) = on_gpu.most_mb() {
        say(format_args!("GPU memory {most} MB at most"));
    }
    Ok(Exit::Done)
}

/// One picture with a clock beside it.
fn measure(
    recipe: &Recipe,
    watch: &mut dyn FnMut(),
    generate: impl FnOnce(&mut dyn FnMut(Step<'_>) -> ControlFlow<()>) -> Result<(), EngineError>,
) -> Result<Round, EngineError> {
    let began = Instant::now();
    let mut ends = Vec::with_capacity(recipe.steps as usize);
    generate(&mut |step| {
        if let Step::Denoise { .. } = step {
            ends.push(began.elapsed());
        }
        watch();
        ControlFlow::Continue(())
    })?;
    let whole = began.elapsed();
    let mut steps: Vec<Duration> = ends.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_unstable();
    let first_step = ends.first().copied().unwrap_or(whole);
    let step = steps.get(steps.len() / 2).copied().unwrap_or(first_step);
    Ok(Round { first_step, step, decode: whole - ends.last().copied().unwrap_or_default(), whole })
}

fn print(round: &Round) {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    say(format_args!(
        "first step {:8.1} ms   step {:8.1} ms   decode {:8.1} ms   picture {:8.2} s",
        ms(round.first_step),
        ms(round.step),
        ms(round.decode),
        round.whole.as_secs_f64()
    ));
}

/// Memory of the GPUs that is in use beside what was when this began, whoever has it: run it alone.
struct GpuMemory {
    gpus: Gpus,
    before: u64,
    most: u64,
}

impl GpuMemory {
    fn begin() -> GpuMemory {
        let mut memory = GpuMemory { gpus: Gpus::open(), before: 0, most: 0 };
        memory.before = memory.used();
        memory
    }

    fn used(&self) -> u64 {
        self.gpus.look().0.iter().map(|gpu| gpu.memory_used).sum()
    }

    fn look(&mut self) {
        self.most = self.most.max(self.used().saturating_sub(self.before));
    }

    fn most_mb(&self) -> Option<u64> {
        (self.gpus.count() > 0).then_some(self.most >> 20)
    }
}

/// Resident megabytes, now and at most.
fn memory() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kb = |key: &str| status.lines().find_map(|l| l.strip_prefix(key))?.split_whitespace().next()?.parse::<u64>().ok();
    Some((kb("VmRSS:")? / 1024, kb("VmHWM:")? / 1024))
}
