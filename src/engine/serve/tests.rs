//! Tests of the engine's conversation, through a real socket pair, with a pipeline that paints a gradient.

use super::*;
use crate::{Inputs, Picture, Step};
use media::encode;
use protocol::{JobId, Recipe};
use std::{
    fs,
    io::Write,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

/// Paints a gradient, a step each few milliseconds. The prompt may ask for trouble.
struct Gradient {
    step: Duration,
}

impl Pipeline for Gradient {
    fn generate(
        &mut self,
        recipe: &Recipe,
        inputs: &Inputs,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Picture>, EngineError> {
        assert!(recipe.prompt != "panic", "as asked");
        if recipe.prompt == "refuse" {
            return Err(EngineError::OutOfMemory(protocol::Problem::new("Too large.").remedy("Choose a smaller size.")));
        }
        if recipe.prompt == "full" {
            return Err(EngineError::GpuFull(protocol::Problem::new("1 GB of 8 GB are free.")));
        }
        let ground = inputs.image.as_ref().map_or(0, |i| i.data[0]);
        for step in 1..=recipe.steps {
            let end = Instant::now() + self.step;
            while Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
                if on_step(Step::Poll).is_break() {
                    return Err(EngineError::Cancelled);
                }
            }
            let preview = || Picture { width: 8, height: 8, rgb: vec![step as u8; 192] };
            if on_step(Step::Denoise { step, steps: recipe.steps, preview: &preview }).is_break() {
                return Err(EngineError::Cancelled);
            }
        }
        let pixels = (recipe.width * recipe.height * 3) as usize;
        let picture = |i: u32| Picture { width: recipe.width, height: recipe.height, rgb: vec![ground + i as u8; pixels] };
        Ok((0..recipe.batch).map(picture).collect())
    }

    fn count_tokens(&self, prompt: &str) -> (u32, u32) {
        (prompt.split_whitespace().count() as u32, 1)
    }
}

impl Loads for Duration {
    fn load(&self, _: &Entry, on_load: &mut OnLoad<'_>) -> Result<Box<dyn Pipeline>, EngineError> {
        for done in 0..=4 {
            if on_load(done * 25, 100).is_break() {
                return Err(EngineError::Cancelled);
            }
        }
        Ok(Box::new(Gradient { step: *self }))
    }
}

/// The panel's end of a running engine, and the folder of its models.
struct Panel {
    stream: UnixStream,
    models: PathBuf,
}

impl Panel {
    fn new(name: &str, step_ms: u64, idle: Duration) -> Panel {
        let models = std::env::temp_dir().join(format!("easel-serve-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&models);
        write_model(&models.join("tiny"));
        let (stream, theirs) = UnixStream::pair().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let settings = Settings { models: models.clone(), idle, device: Device::cpu(1), no_gpu: None };
        std::thread::spawn(move || serve_with(theirs, settings, Duration::from_millis(step_ms)));
        let mut panel = Panel { stream, models };
        panel.say(&ToEngine::Hello { build: BUILD_ID.into() });
        assert!(matches!(panel.hear(), FromEngine::Hello { build, .. } if build == BUILD_ID));
        panel.say(&ToEngine::Scan);
        let FromEngine::Models { models, .. } = panel.hear() else { panic!("no models") };
        assert!(models.iter().any(|m| m.id == "tiny"));
        panel
    }

    fn say(&mut self, message: &ToEngine) {
        self.stream.write_all(&frame::encode(message).unwrap()).unwrap();
    }

    fn hear(&mut self) -> FromEngine {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).unwrap();
        let mut body = vec![0; frame::body_length(prefix).unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        frame::decode(&body).unwrap()
    }

    fn generate(&mut self, job: &str, recipe: Recipe, image: Option<Vec<u8>>) {
        self.say(&ToEngine::Generate { job: JobId(job.into()), recipe: Box::new(recipe), image, mask: None });
    }

    /// Everything up to the end of a job.
    fn until_end(&mut self) -> Vec<FromEngine> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.hear());
            let last = heard.last().unwrap();
            if matches!(
                last,
                FromEngine::Done { .. } | FromEngine::Cancelled { .. } | FromEngine::Failed { .. } | FromEngine::GpuFull { .. }
            ) {
                return heard;
            }
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.models);
    }
}

/// A diffusers folder whose header says that it is a model.
fn write_model(folder: &Path) {
    let header = r#"{"conv_in.weight":{"dtype":"F32","shape":[0,4,3,3],"data_offsets":[0,0]},
        "time_embedding.linear_1.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    fs::create_dir_all(folder.join("unet")).unwrap();
    fs::write(folder.join("model_index.json"), "{}").unwrap();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    fs::write(folder.join("unet/diffusion_pytorch_model.safetensors"), file).unwrap();
}

fn recipe(prompt: &str, steps: u32, batch: u32) -> Recipe {
    Recipe { prompt: prompt.into(), height: 32, steps, guidance: 7.5, seed: 40, batch, ..Recipe::example() }
}

#[test]
fn a_job_is_told_from_loading_to_done() {
    let mut panel = Panel::new("whole", 5, Duration::from_secs(60));
    panel.generate("A", recipe("a hill", 6, 2), None);
    let heard = panel.until_end();
    assert!(matches!(&heard[0], FromEngine::Loading { done: 0, total: 100, .. }), "{:?}", heard[0]);
    let steps: Vec<(u32, bool)> = heard
        .iter()
        .filter_map(|m| if let FromEngine::Step { step, preview, .. } = m { Some((*step, preview.is_some())) } else { None })
        .collect();
    assert_eq!(steps.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(steps[0].1 && steps[5].1, "the first and the last step have previews: {steps:?}");
    let pictures: Vec<_> = heard
        .iter()
        .filter_map(|m| if let FromEngine::Picture { index, file, .. } = m { Some((*index, file)) } else { None })
        .collect();
    assert_eq!(pictures.len(), 2);
    for (index, file) in pictures {
        let found = media::inspect::inspect(file).unwrap();
        assert_eq!((found.draft.seed, found.draft.batch), (Some(40 + u64::from(index)), Some(1)));
        assert_eq!((found.width, found.height), (64, 32));
    }
    assert!(matches!(heard.last(), Some(FromEngine::Done { .. })));
    panel.generate("B", recipe("a hill", 1, 1), None);
    assert!(!panel.until_end().iter().any(|m| matches!(m, FromEngine::Loading { .. })), "the model is kept");
}

#[test]
fn questions_and_cancels_are_answered_while_a_job_runs() {
    let mut panel = Panel::new("busy", 200, Duration::from_secs(60));
    panel.generate("A", recipe("a hill", 100, 1), None);
    while !matches!(panel.hear(), FromEngine::Step { .. }) {}
    panel.say(&ToEngine::CountTokens { ask: 7, model: "no such model".into(), prompt: "x".into() });
    panel.say(&ToEngine::Scan);
    let (mut tokens, mut models) = (false, false);
    while !(tokens && models) {
        match panel.hear() {
            FromEngine::Tokens { ask, tokens: none, chunks } => {
                assert_eq!((ask, none, chunks), (7, None, 1));
                tokens = true;
            }
            FromEngine::Models { .. } => models = true,
            FromEngine::Step { step, .. } => assert!(step < 100, "the answers waited for the job"),
            other => panic!("{other:?}"),
        }
    }
    let asked = Instant::now();
    panel.say(&ToEngine::Cancel { job: JobId("B".into()) });
    panel.say(&ToEngine::Cancel { job: JobId("A".into()) });
    assert!(matches!(panel.until_end().last(), Some(FromEngine::Cancelled { .. })));
    println!("cancelled after {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_millis(500));
}

#[test]
fn a_cancel_right_behind_a_job_is_not_lost() {
    let mut panel = Panel::new("behind", 50, Duration::from_secs(60));
    for job in ["A", "B", "C"] {
        panel.generate(job, recipe("a hill", 100, 1), None);
        panel.say(&ToEngine::Cancel { job: JobId(job.into()) });
    }
    for _ in 0..3 {
        assert!(matches!(panel.until_end().last(), Some(FromEngine::Cancelled { .. })));
    }
}

#[test]
fn trouble_fails_one_job_and_not_the_next() {
    let mut panel = Panel::new("trouble", 1, Duration::from_secs(60));
    panel.generate("A", recipe("panic", 1, 1), None);
    let Some(FromEngine::Failed { problem, .. }) = panel.until_end().pop() else { panic!("not failed") };
    assert!(problem.what.contains("stumbled"), "{problem:?}");
    panel.generate("B", recipe("refuse", 1, 1), None);
    let Some(FromEngine::Failed { problem, .. }) = panel.until_end().pop() else { panic!("not failed") };
    assert_eq!((problem.what.as_str(), problem.remedy.as_str()), ("Too large.", "Choose a smaller size."));
    panel.generate("C", recipe("x", 1, 1), Some(b"not a picture".to_vec()));
    let Some(FromEngine::Failed { problem, .. }) = panel.until_end().pop() else { panic!("not failed") };
    assert_eq!(problem.place, "reference picture");
    panel.generate("D", Recipe { model: "gone".into(), ..recipe("x", 1, 1) }, None);
    let Some(FromEngine::Failed { problem, .. }) = panel.until_end().pop() else { panic!("not failed") };
    assert!(problem.what.contains("gone"));
    panel.generate("F", recipe("full", 1, 1), None);
    let Some(FromEngine::GpuFull { problem, .. }) = panel.until_end().pop() else { panic!("not full") };
    assert_eq!(problem.what, "1 GB of 8 GB are free.");
    panel.generate("E", recipe("x", 1, 1), None);
    assert!(matches!(panel.until_end().last(), Some(FromEngine::Done { .. })));
}

#[test]
fn an_idle_engine_forgets_its_model() {
    let mut panel = Panel::new("idle", 1, Duration::from_millis(150));
    panel.generate("A", recipe("x", 1, 1), None);
    panel.until_end();
    assert_eq!(panel.hear(), FromEngine::Unloaded);
    panel.generate("B", recipe("x", 1, 1), None);
    assert!(matches!(panel.hear(), FromEngine::Loading { .. }));
    panel.until_end();
    panel.say(&ToEngine::Unload);
    assert_eq!(panel.hear(), FromEngine::Unloaded);
}

#[test]
fn models_that_come_and_go_are_told_of_unasked() {
    let mut panel = Panel::new("come", 1, Duration::from_secs(60));
    write_model(&panel.models.join("new"));
    let ids = |message| match message {
        FromEngine::Models { models, .. } => models.into_iter().map(|m| m.id).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert!(ids(panel.hear()).contains(&"new".to_owned()));
    fs::remove_dir_all(panel.models.join("tiny")).unwrap();
    let mut now = ids(panel.hear());
    if now.contains(&"tiny".to_owned()) {
        // The look fell into the middle of the removal.
        now = ids(panel.hear());
    }
    assert!(!now.contains(&"tiny".to_owned()), "{now:?}");
}

#[test]
fn a_model_that_came_a_moment_ago_is_found_by_a_job() {
    let mut panel = Panel::new("moment", 1, Duration::from_secs(60));
    write_model(&panel.models.join("new"));
    panel.generate("A", Recipe { model: "new".into(), ..recipe("x", 1, 1) }, None);
    let heard = panel.until_end();
    assert!(matches!(heard.last(), Some(FromEngine::Done { .. })), "{heard:?}");
}

#[test]
fn references_are_brought_to_size() {
    let mut panel = Panel::new("reference", 1, Duration::from_secs(60));
    let grey = media::Rgb8::new(300, 300, vec![90; 270_000]).unwrap();
    panel.generate("A", recipe("x", 1, 1), Some(encode::file(&grey, &recipe("x", 1, 1)).unwrap()));
    let heard = panel.until_end();
    let file = heard.iter().find_map(|m| if let FromEngine::Picture { file, .. } = m { Some(file) } else { None }).unwrap();
    assert_eq!(media::decode::rgb(file).unwrap().data()[0], 90);
}

#[test]
fn the_wrong_build_and_nonsense_end_the_conversation() {
    for first in [
        frame::encode(&ToEngine::Hello { build: "0.0.0".into() }).unwrap(),
        frame::encode(&ToEngine::Scan).unwrap(),
        vec![0xff; 8],
        vec![4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    ] {
        let (mut stream, theirs) = UnixStream::pair().unwrap();
        let settings = Settings { models: "/nowhere".into(), idle: Duration::from_secs(1), device: Device::cpu(1), no_gpu: None };
        let engine = std::thread::spawn(move || serve_with(theirs, settings, Duration::ZERO));
        stream.write_all(&first).unwrap();
        assert!(engine.join().unwrap().is_err(), "{first:?}");
    }
    let (stream, theirs) = UnixStream::pair().unwrap();
    drop(stream);
    let settings = Settings { models: "/nowhere".into(), idle: Duration::from_secs(1), device: Device::cpu(1), no_gpu: None };
    assert!(serve_with(theirs, settings, Duration::ZERO).is_ok(), "a hang-up is no error");
}
