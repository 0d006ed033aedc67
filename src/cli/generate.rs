//! `easel generate`: pictures from the command line, with the engine in this very process and no server. Knows flags,
//! files and a progress bar; the rules of a recipe are the protocol's, the pictures the engine's.

use super::{
    Exit, Failure, Shared,
    compute::{self, Compute},
    say,
};
use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use engine::{EngineError, Gray8, Inputs, Picture, Rgb8, Step, device, library::Library};
use indicatif::{ProgressBar, ProgressStyle};
use media::{decode, encode, resize};
use protocol::{Draft, FieldProblem, Format, ImageRef, Preset, Recipe, draft::MAX_SEED};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{IsTerminal as _, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Flags of `generate`. What is left out takes the model's default.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// What to paint
    prompt: String,
    /// A quick look
    #[arg(long, conflicts_with_all = ["balanced", "quality", "steps"])]
    fast: bool,
    /// The model's usual number of steps
    #[arg(long, conflicts_with_all = ["quality", "steps"])]
    balanced: bool,
    /// Twice as many steps
    #[arg(long, conflicts_with = "steps")]
    quality: bool,
    /// File to write; of several pictures, with -1, -2, ... before the ending [default: easel-SEED.png]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which model; `easel models list` names them [default: the first of that list]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// What to keep away from
    #[arg(long, value_name = "TEXT")]
    negative: Option<String>,
    /// Pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS")]
    width: Option<u32>,
    /// Pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS")]
    height: Option<u32>,
    /// Sampling steps, 1 to 150
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// How closely to follow the prompt, 0 to 30
    #[arg(long, value_name = "SCALE")]
    guidance: Option<f32>,
    /// dpmpp2m, dpmpp2m_sde, euler, euler_a, heun, unipc, ddim, pndm or lcm
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,
    /// plain, karras, exponential or beta
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// The same seed gives the same picture [default: a random one]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Pictures, 1 to 4
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// A picture to start from
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// White is painted again, black is kept; needs --image
    #[arg(long, value_name = "FILE", requires = "image")]
    mask: Option<PathBuf>,
    /// How far the picture to start from is changed, above 0 to 1
    #[arg(long, value_name = "SHARE", requires = "image")]
    strength: Option<f32>,
    /// png, webp or jpeg [default: as the output file's ending says, else png]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FileFormat>,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileFormat {
    Png,
    Webp,
    #[value(alias = "jpg")]
    Jpeg,
}

pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let library = Library::scan(&shared.load()?.data.join("models"));
    let entry = match &args.model {
        None => library.entries.first().ok_or_else(|| bad(anyhow!("there is no model; `easel models add` brings one")))?,
        Some(id) => library.get(id).ok_or_else(|| bad(unknown_model(id, &library)))?,
    };
    let image = args.image.as_deref().map(read).transpose().map_err(bad)?;
    let mask = args.mask.as_deref().map(read).transpose().map_err(bad)?;
    let random = RandomState::new().build_hasher().finish() & MAX_SEED;
    let draft = draft(&args, image.as_deref(), mask.as_deref());
    let recipe = draft.resolve(&entry.info, random).map_err(|problems| bad(in_words(&problems)))?;
    let inputs = inputs(&recipe, image.as_deref(), mask.as_deref()).map_err(bad)?;
    let stop = stop_on_ctrl_c()?;
    let device = args.compute.choose(device::USUAL, compute::lost)?.device;
    let bar = Bar::new();
    let made = (entry.family.load)(&entry.source, &device, &mut |done, total| {
        bar.loading(&entry.info.name, done, total);
        flow(&stop)
    })
    .and_then(|mut pipeline| {
        pipeline.generate(&recipe, &inputs, &mut |step| {
            bar.step(&step);
            flow(&stop)
        })
    });
    bar.end();
    match made {
        Ok(pictures) => save(&args, &recipe, pictures),
        Err(EngineError::Cancelled) => Ok(Exit::Interrupted),
        Err(error) => Err(with_remedy(&error).into()),
    }
}

fn save(args: &Args, recipe: &Recipe, pictures: Vec<Picture>) -> Result<Exit, Failure> {
    let count = pictures.len();
    for (index, picture) in (0u32..).zip(pictures) {
        let recipe = recipe.of_picture(index);
        let path = path_of(args, &recipe, index, count);
        let picture = media::Rgb8::new(picture.width, picture.height, picture.rgb).context("the engine made no whole picture")?;
        let file = encode::file(&picture, &recipe)?;
        write(&path, &file).with_context(|| format!("writing {}", path.display()))?;
        say(path.display());
    }
    Ok(Exit::Done)
}

/// A file with a name appears whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().context("it names no file")?.to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    let written = (|| {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    Ok(written?)
}

fn path_of(args: &Args, recipe: &Recipe, index: u32, count: usize) -> PathBuf {
    let ending = recipe.format.extension();
    let Some(output) = &args.output else { return format!("easel-{}.{ending}", recipe.seed).into() };
    if count == 1 {
        return output.clone();
    }
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let ending = output.extension().map_or(ending.into(), |e| e.to_string_lossy());
    output.with_file_name(format!("{stem}-{}.{ending}", index + 1))
}

/// The recipe as the flags have it.
fn draft(args: &Args, image: Option<&[u8]>, mask: Option<&[u8]>) -> Draft {
    let preset = [(args.fast, Preset::Fast), (args.balanced, Preset::Balanced), (args.quality, Preset::Quality)];
    let upload = |bytes: &[u8]| ImageRef::Upload(hex(&Sha256::digest(bytes))).to_string();
    Draft {
        prompt: Some(args.prompt.clone()),
        negative_prompt: args.negative.clone(),
        width: args.width,
        height: args.height,
        steps: args.steps,
        guidance: args.guidance,
        sampler: args.sampler.clone(),
        schedule: args.schedule.clone(),
        seed: args.seed,
        batch: args.batch,
        strength: args.strength,
        image: image.map(upload),
        mask: mask.map(upload),
        preset: preset.into_iter().find(|(wanted, _)| *wanted).map(|(_, preset)| preset),
        format: Some(format(args)),
        ..Draft::default()
    }
}

fn format(args: &Args) -> Format {
    let ending = args.output.as_deref().and_then(Path::extension).map(|e| e.to_string_lossy().to_ascii_lowercase());
    match (args.format, ending.as_deref()) {
        (Some(FileFormat::Png), _) => Format::Png,
        (Some(FileFormat::Webp), _) | (None, Some("webp")) => Format::Webp,
        (Some(FileFormat::Jpeg), _) | (None, Some("jpg" | "jpeg")) => Format::Jpeg,
        (None, _) => Format::Png,
    }
}

/// The pictures that the recipe starts from, at its size.
fn inputs(recipe: &Recipe, image: Option<&[u8]>, mask: Option<&[u8]>) -> anyhow::Result<Inputs> {
    let (width, height) = (recipe.width, recipe.height);
    let image = image.map(|bytes| -> anyhow::Result<Rgb8> {
        let picture = decode::rgb(bytes).context("--image")?;
        Ok(Rgb8 { width, height, data: resize::cover(&picture, width, height).into_data() })
    });
    let mask = mask.map(|bytes| -> anyhow::Result<Gray8> {
        let mask = decode::mask(bytes).context("--mask")?;
        Ok(Gray8 { width, height, data: resize::cover_mask(&mask, width, height).into_data() })
    });
    Ok(Inputs { image: image.transpose()?, mask: mask.transpose()? })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn bad(why: anyhow::Error) -> Failure {
    Failure { exit: Exit::BadInput, why }
}

fn in_words(problems: &[FieldProblem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
    anyhow!(lines.join("\n       "))
}

fn unknown_model(id: &str, library: &Library) -> anyhow::Error {
    let names: Vec<&str> = library.entries.iter().map(|e| e.info.id.as_str()).collect();
    anyhow!(
        "there is no model \"{id}\"; there {}",
        if names.is_empty() { "is none".into() } else { format!("are: {}", names.join(", ")) }
    )
}

fn with_remedy(error: &EngineError) -> anyhow::Error {
    match error.problem() {
        Some(problem) => anyhow!("{} {}", problem.what, problem.remedy),
        None => anyhow!("cancelled"),
    }
}

fn flow(stop: &AtomicBool) -> ControlFlow<()> {
    if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Raised by the first Ctrl-C. The second one ends the process, as everywhere.
fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let mut pressed = 0;
            while tokio::signal::ctrl_c().await.is_ok() {
                pressed += 1;
                raised.store(true, Ordering::Relaxed);
                if pressed == 2 {
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
            }
        });
    });
    Ok(stop)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A progress bar on a terminal, and nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg:24!} [{bar:32}] {pos}/{len} {eta}").expect("the template is well-formed");
        bar.set_style(style.progress_chars("=> "));
        Bar(bar)
    }

    fn loading(&self, model: &str, done: u64, total: u64) {
        self.0.set_message(format!("Loading {model}"));
        self.0.set_length(total >> 20);
        self.0.set_position(done >> 20);
    }

    fn step(&self, step: &Step<'_>) {
        match step {
            Step::Denoise { step, steps, .. } => {
                if self.0.length() != Some(u64::from(*steps)) || *step == 1 {
                    self.0.reset();
                    self.0.set_message("Painting");
                    self.0.set_length(u64::from(*steps));
                }
                self.0.set_position(u64::from(*step));
            }
            Step::Decode { .. } => self.0.set_message("Decoding"),
            Step::Loading { .. } | Step::Poll => {}
        }
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_and_flags_choose_the_format() {
        let with = |output: &str, format| Args { output: Some(output.into()), format, ..Args::default() };
        assert_eq!(format(&with("a.JPG", None)), Format::Jpeg);
        assert_eq!(format(&with("a.webp", None)), Format::Webp);
        assert_eq!(format(&with("a", None)), Format::Png);
        assert_eq!(format(&with("a.png", Some(FileFormat::Jpeg))), Format::Jpeg);
    }

    #[test]
    fn several_pictures_are_numbered() {
        let args = Args { output: Some("dir/out.png".into()), ..Args::default() };
        let recipe = Draft { prompt: Some("x".into()), ..Draft::default() };
        let model = protocol::ModelInfo {
            id: "m".into(),
            name: "M".into(),
            family: "sd15".into(),
            bytes: 0,
            embedded: false,
            place: String::new(),
            about: String::new(),
            native: (64, 64),
            side: (64, 64),
            defaults: protocol::model::Defaults {
                steps: 1,
                guidance: 1.0,
                sampler: protocol::Sampler::Euler,
                schedule: protocol::Schedule::Plain,
                clip_skip: 1,
                guidance_rescale: 0.0,
                strength: 0.5,
            },
            presets: [(Preset::Fast, 1), (Preset::Balanced, 1), (Preset::Quality, 1)],
            samplers: vec![protocol::Sampler::Euler],
            chunk_tokens: 75,
            inpaint_channels: false,
            vocabulary: Vec::new(),
            surprises: Vec::new(),
            examples: Vec::new(),
        };
        let recipe = recipe.resolve(&model, 7).unwrap();
        assert_eq!(path_of(&args, &recipe, 1, 2), PathBuf::from("dir/out-2.png"));
        assert_eq!(path_of(&args, &recipe, 0, 1), PathBuf::from("dir/out.png"));
        assert_eq!(path_of(&Args::default(), &recipe, 0, 1), PathBuf::from("easel-7.png"));
    }
}
