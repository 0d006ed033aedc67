//! The real program on a GPU that is played: NVIDIA's driver, cuBLASLt and management library are doubles over a folder, and kernels run as
//! the shim has them, so the model is a tiny one. A card that others fill, and one that fails. Knows the API.

use crate::{
    comfy::{self, card::loaded, guest::Guest},
    program::{Program, easel},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Bytes of the card.
pub(crate) const TOTAL: u64 = 4_000_000_000;
/// What a run of the tool holds: all but what a context needs.
const HELD: u64 = TOTAL - 17_000_000;
/// A picture takes seconds, and beside other tests longer.
const AT_MOST: Duration = Duration::from_secs(120);

/// The file that a library is, the name that it is found under, and what it is built from.
const LIBRARIES: [(&str, &str, &str); 2] =
    [("libcuda.so", "libcuda.so.1", "driver.cc"), ("libcublasLt.so.12", "libcublasLt.so.12", "blas.cc")];
/// How the engine calls the card with both.
const DEVICE: &str = "Played GPU 0, f16, cuBLASLt 12.9";

/// The folder of the played driver and cuBLASLt, compiled once for all tests.
pub(crate) fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = tempfile::tempdir().unwrap().keep();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/cuda/kernels/host");
        for (file, soname, source) in LIBRARIES {
            let flags = ["-std=c++17", "-O2", "-U_FORTIFY_SOURCE", "-shared", "-fPIC"];
            let soname = format!("-Wl,-soname,{soname}");
            let made =
                Command::new("c++").args(flags).args([&soname, "-o"]).arg(built.join(file)).arg(sources.join(source)).status();
            assert!(made.unwrap().success(), "c++ makes {file}");
        }
        built
    })
}

/// A studio with a card, a tool and a tiny model.
pub(crate) struct Studio {
    pub(crate) program: Program,
    /// The folder that is the card.
    pub(crate) card: PathBuf,
    _folder: tempfile::TempDir,
}

impl Studio {
    /// `held`: bytes of the card that this test holds when the program starts.
    pub(crate) fn start(held: u64) -> Studio {
        let folder = tempfile::tempdir().unwrap();
        let (card, library) = comfy::card(folder.path(), TOTAL);
        for (file, ..) in LIBRARIES {
            fs::copy(libraries().join(file), library.join(file)).unwrap();
        }
        hold(&card, held);
        let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/tests");
        let made = tempfile::tempdir().unwrap();
        engine::golden::committed::materialise(&engine.join("golden/sd15"), &engine.join("text"), made.path()).unwrap();
        let models = folder.path().join("data/models");
        fs::create_dir_all(&models).unwrap();
        crate::tool_folder::copy(&made.path().join("pipeline"), &models.join("tiny"));
        let holds = HELD.to_string();
        let env = [
            ("CARD_DOUBLE", card.to_str().unwrap()),
            ("LD_LIBRARY_PATH", library.to_str().unwrap()),
            ("COMFY_DOUBLE_HOLDS", &holds),
        ];
        Studio { program: comfy::studio(folder.path(), &env), card, _folder: folder }
    }

    async fn engine(&self, admin: &Guest, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let engine = admin.api(Method::GET, "/system", Value::Null).await.1["engines"][0].clone();
            if so(&engine) {
                return engine;
            }
            assert!(begin.elapsed() < AT_MOST, "never {what}: {engine}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn on_gpu(&self, admin: &Guest) -> Value {
        self.engine(admin, "on the GPU", |e| e["status"] == "ready" && e["device"] == DEVICE).await
    }

    async fn on_cpu(&self, admin: &Guest) -> Value {
        let on_cpu = |e: &Value| e["status"] == "ready" && e["device"].as_str().is_some_and(|d| d.starts_with("CPU"));
        self.engine(admin, "on the CPU", on_cpu).await
    }
}

/// What this process holds of the card, as far as the doubles are concerned.
pub(crate) fn hold(card: &Path, bytes: u64) {
    fs::write(card.join(std::process::id().to_string()), bytes.to_string()).unwrap();
}

async fn submit(guest: &Guest, side: u32) -> String {
    let recipe = json!({"model": "tiny", "prompt": "a lake", "width": side, "height": side, "steps": 2});
    let (status, job) = guest.api(Method::POST, "/jobs", recipe).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn over(guest: &Guest, id: &str) -> Value {
    let begin = Instant::now();
    loop {
        let job = guest.api(Method::GET, &format!("/jobs/{id}"), Value::Null).await.1;
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return job;
        }
        assert!(begin.elapsed() < AT_MOST, "never over: {job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_finds_the_card_full_has_a_tool_let_go_and_is_made() {
    let studio = Studio::start(0);
    let (ada, zoe) = (Guest::admin(&studio.program).await, Guest::pick(&studio.program, "zoe").await);
    studio.on_gpu(&ada).await;
    ada.install("comfy").await;
    loaded(&zoe).await;
    let cards = zoe.api(Method::GET, "/tools", Value::Null).await.1["cards"].clone();
    assert_eq!(cards[0]["free"], TOTAL - HELD, "{cards}");
    let job = over(&zoe, &submit(&zoe, 64).await).await;
    assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
    assert_eq!(zoe.tool("comfy").await["state"], "running", "it gave memory back and runs on");
    // Now the engine is who holds some, and the page says so.
    let cards = zoe.api(Method::GET, "/tools", Value::Null).await.1["cards"].clone();
    assert_eq!(cards[0]["holders"][0]["name"], "Studio engine", "{cards}");
    // Where nobody has anything to give back, the job fails and says who holds what.
    let own = cards[0]["holders"][0]["bytes"].as_u64().unwrap();
    hold(&studio.card, TOTAL - own - 100_000);
    let job = over(&zoe, &submit(&zoe, 128).await).await;
    let told = job["error"]["what"].as_str().unwrap_or_default();
    assert!(told.contains("of the GPU's memory") && told.contains("Other programs hold 4.0 GB"), "{job}");
    studio.on_gpu(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_finds_its_card_full_paints_on_the_cpu_until_it_is_free() {
    let studio = Studio::start(TOTAL);
    let ada = Guest::admin(&studio.program).await;
    let engine = studio.on_cpu(&ada).await;
    assert_eq!(engine["no_gpu"], "No GPU is used: the GPU's memory is full.");
    assert_eq!(engine["looks_again"], true);
    let zoe = Guest::pick(&studio.program, "zoe").await;
    assert_eq!(over(&zoe, &submit(&zoe, 64).await).await["state"], "done");
    hold(&studio.card, 0);
    let engine = studio.on_gpu(&ada).await;
    assert_eq!((&engine["no_gpu"], &engine["looks_again"]), (&Value::Null, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_crashes_where_it_is_tried_leaves_the_cpu() {
    let studio = Studio::start(0);
    let ada = Guest::admin(&studio.program).await;
    let before = studio.on_gpu(&ada).await;
    fs::write(studio.card.join("crashes"), "").unwrap();
    assert_eq!(ada.post("/system/engines/1/restart").await.0, 202);
    let engine = studio.on_cpu(&ada).await;
    let why = engine["no_gpu"].as_str().unwrap();
    assert!(why.contains("a process that tried it was ended by signal 6"), "{engine}");
    assert_eq!((&engine["looks_again"], engine["pid"] == before["pid"]), (&json!(false), false), "{engine}");
    let zoe = Guest::pick(&studio.program, "zoe").await;
    assert_eq!(over(&zoe, &submit(&zoe, 64).await).await["state"], "done");
    fs::remove_file(studio.card.join("crashes")).unwrap();
    assert_eq!(ada.post("/system/engines/1/restart").await.0, 202);
    studio.on_gpu(&ada).await;
}

#[test]
fn a_trial_ends_with_whoever_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (card, library) = comfy::card(folder.path(), TOTAL);
    fs::copy(libraries().join("libcuda.so"), library.join("libcuda.so")).unwrap();
    fs::write(card.join("hangs"), "").unwrap();
    let mut doctor = easel();
    doctor.arg("doctor").arg("--data").arg(folder.path().join("data")).env("CARD_DOUBLE", &card).env("LD_LIBRARY_PATH", &library);
    let mut doctor = doctor.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    let patient = || {
        assert!(begin.elapsed() < AT_MOST, "it does not begin, or does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    let tries =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains("try-gpu"));
    // Whoever has a context of the card has a file there.
    let holders = || fs::read_dir(&card).unwrap().filter_map(|file| file.unwrap().file_name().to_str()?.parse().ok());
    let trial: u32 = loop {
        match holders().find(tries) {
            Some(trial) => break trial,
            None => patient(),
        }
    };
    doctor.kill().unwrap();
    doctor.wait().unwrap();
    // One that is dead and not reaped yet has no command line.
    while tries(&trial) {
        patient();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_fails_ends_the_engine_and_its_job_is_made_all_the_same() {
    let studio = Studio::start(0);
    let ada = Guest::admin(&studio.program).await;
    let before = studio.on_gpu(&ada).await;
    fs::write(studio.card.join("fault"), "").unwrap();
    let zoe = Guest::pick(&studio.program, "zoe").await;
    let job = over(&zoe, &submit(&zoe, 64).await).await;
    assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
    let engine = studio.on_cpu(&ada).await;
    assert!(engine["no_gpu"].as_str().unwrap().contains("failed in a trial"), "{engine}");
    assert_eq!(engine["looks_again"], false, "somebody has to mend it");
    assert_ne!(engine["pid"], before["pid"]);
    let log = ada.api(Method::GET, "/logs", Value::Null).await.1.to_string();
    assert!(log.contains("illegal memory access"), "the log says why");
    fs::remove_file(studio.card.join("fault")).unwrap();
    assert_eq!(ada.post("/system/engines/1/restart").await.0, 202);
    studio.on_gpu(&ada).await;
    assert_eq!(over(&zoe, &submit(&zoe, 64).await).await["state"], "done");
}
