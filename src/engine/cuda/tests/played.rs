//! `card.rs` and `blas/` against a driver and a cuBLASLt that are played on this host: their calls, handles, captures, copies and
//! refusals, as far as NVIDIA's documents tell them. In a process of its own for each part, because a process finds one driver once and for all.

use super::{card, whole};
use crate::{
    EngineError,
    cuda::{
        card::Card,
        driver::Driver as _,
        element::Element,
        images::{IMAGES, OLDEST_DRIVER},
    },
    device::{Choice, Device, Library, tried},
};
use protocol::{DeviceWish, NoGpu};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Tells a process that it is one of a test.
const PART: &str = "PLAYED_PART";
/// The folder that is the card.
const CARD: &str = "CARD_DOUBLE";

fn cxx() -> Command {
    #[allow(clippy::disallowed_methods, reason = "a compiler, for a test")]
    Command::new("c++")
}

/// The folder of a played library, compiled once for all tests.
fn folder(folder: &'static OnceLock<PathBuf>, source: &str, soname: &str, file: &str) -> &'static Path {
    folder.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda/kernels/host").join(source);
        let mut command = cxx();
        command.args(["-std=c++17", "-O2", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
        let done = command.arg(format!("-Wl,-soname,{soname}")).arg("-o").arg(folder.join(file)).arg(source).output();
        let done = done.expect("these tests need a C++ compiler called c++ (Debian: g++)");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        folder
    })
}

fn driver() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    folder(&FOLDER, "driver.cc", "libcuda.so.1", "libcuda.so")
}

fn blas() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    folder(&FOLDER, "blas.cc", "libcublasLt.so.12", "libcublasLt.so.12")
}

/// Runs a part in a process that has the played driver and a card with these files; what it said.
fn with_card(part: &str, files: &[(&str, &str)]) -> String {
    run(part, files, driver().display().to_string())
}

/// The same with the played cuBLASLt.
fn with_library(part: &str, files: &[(&str, &str)]) -> String {
    run(part, files, format!("{}:{}", driver().display(), blas().display()))
}

#[allow(clippy::disallowed_methods, reason = "this test's own program, as another process")]
fn run(part: &str, files: &[(&str, &str)], libraries: String) -> String {
    let card = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(card.path().join(name), text).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "cuda::tests::played::a_part_of_the_tests_below", "--nocapture"]);
    command.env("LD_LIBRARY_PATH", libraries).env(PART, part).env(CARD, card.path());
    let done = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{part}: {said}");
    said
}

/// Does nothing where it is not asked for a part.
#[test]
#[allow(clippy::disallowed_methods, reason = "which part it is, the test that started it says by its environment")]
fn a_part_of_the_tests_below() {
    let said = |name: &str| std::env::var(name).unwrap_or_default();
    match said(PART).as_str() {
        "" => {}
        "computes" => computes(Path::new(&said(CARD))),
        "counts" => counts(),
        "refuses" => println!("{}", refusal(DeviceWish::Auto)),
        "has no image" => has_no_image(Path::new(&said(CARD))),
        "fills" => fills(Path::new(&said(CARD))),
        "fails" => fails(Path::new(&said(CARD))),
        "multiplies" => multiplies(Path::new(&said(CARD))),
        "multiplies wrong" => multiplies_wrong(),
        "has no handle" => has_no_handle(),
        "is for 13" => is_for("13"),
        "is not for 12" => is_for("12"),
        other => panic!("there is no part {other}"),
    }
}

fn lost(why: &str) -> ! {
    panic!("{why}")
}

fn choose(wish: DeviceWish) -> Result<Choice, EngineError> {
    Device::choose(wish, Element::F16, Library::Auto, 1, lost, tried)
}

/// Why no GPU is taken.
fn refusal(wish: DeviceWish) -> NoGpu {
    let Choice { device, no_gpu } = choose(wish).unwrap();
    assert_eq!(device.to_string(), "CPU, 1 core");
    no_gpu.unwrap()
}

/// What a card has, asked by somebody who keeps its context alive: the end of a context gives back what was forgotten.
fn free(meter: &Card) -> u64 {
    meter.memory().unwrap().free
}

/// What one of the card's files says.
fn told(card: &Path, file: &str) -> String {
    std::fs::read_to_string(card.join(file)).unwrap()
}

fn computes(card_folder: &Path) {
    let meter = Card::open(0).unwrap();
    let before = free(&meter);
    let Choice { device, no_gpu } = choose(DeviceWish::Auto).unwrap();
    assert_eq!((device.to_string().as_str(), no_gpu), ("Played GPU 0, f16", None));
    // Where this machine has one, it does not take a played card.
    assert!(device.no_library().is_some_and(|why| why.contains("cuBLASLt")), "{:?}", device.no_library());
    for case in whole::recorded("sd15-inpaint", card().unwrap(), Element::F32) {
        assert!(case.outcome.holds(), "{}: {:?}", case.name, case.outcome);
    }
    assert_eq!(free(&meter), before, "all was given back");
    drop(meter);
    assert_eq!(told(card_folder, &std::process::id().to_string()), "0", "the context too");
}

/// The trial, and a whole recording with graphs, copies and marks.
#[test]
fn a_card_computes_what_the_reference_does() {
    with_card("computes", &[]);
}

fn counts() {
    for number in 0..3 {
        assert_eq!(Card::open(number).unwrap().name(), format!("Played GPU {number}"));
    }
    let none = Card::open(3).unwrap_err().to_string();
    assert!(none.contains("no GPU 3") && none.contains("there are 3"), "{none}");
}

#[test]
fn cards_are_counted_by_the_bus_and_not_as_the_driver_counts() {
    with_card("counts", &[("count", "3")]);
}

#[test]
fn what_keeps_a_card_from_being_used_is_said() {
    let said = with_card("refuses", &[("version", "11080")]);
    // How old it may be, the compiler of the kernels says.
    let least = if OLDEST_DRIVER < 13_000 { "12.0 is needed (driver 525)" } else { "13.0 is needed (driver 580)" };
    assert!(said.contains(&format!("made for CUDA 11.8, and {least}")), "{said}");
    if !IMAGES.is_empty() {
        let said = with_card("refuses", &[("capability", "75")]);
        assert!(said.contains("compute capability 7.5, and this program has only kernels"), "{said}");
    }
    let said = with_card("refuses", &[("exclusive", "")]);
    assert!(said.contains("another program has the GPU for itself"), "{said}");
    let said = with_card("refuses", &[("count", "0")]);
    assert!(said.contains("there is no GPU 0; there are 0"), "{said}");
}

fn has_no_image(card: &Path) {
    let NoGpu::Unusable(why) = refusal(DeviceWish::Auto) else { panic!("others have it") };
    assert!(why.contains("compiler was not there") || why.contains("image is invalid"), "{why}");
    let held = told(card, &std::process::id().to_string());
    assert_eq!(held, "0", "who goes on without the card holds none of it");
}

#[test]
fn without_kernels_for_it_a_card_is_left_alone() {
    with_card("has no image", &[("imageless", "")]);
}

fn fills(card: &Path) {
    // Whoever started this lives as long as it.
    let others_hold = |bytes: u64| {
        let other = std::os::unix::process::parent_id();
        std::fs::write(card.join(other.to_string()), bytes.to_string()).unwrap();
    };
    others_hold(1 << 30);
    assert_eq!(refusal(DeviceWish::Auto), NoGpu::Taken("No GPU is used: the GPU's memory is full.".into()));
    let problem = choose(DeviceWish::Gpu(0)).unwrap_err();
    assert!(problem.problem().unwrap().remedy.starts_with("End what has the GPU"), "{problem:?}");
    others_hold(1_000_000_000);
    let device = choose(DeviceWish::Auto).unwrap().device;
    // There is room for a context and for little else.
    others_hold((1 << 30) - (16 << 20) - 100_000);
    let folder = whole::materialised("sd15-inpaint");
    let full = whole::try_picture_of(folder.path(), device.backend().unwrap()).unwrap_err();
    let EngineError::GpuFull(problem) = &full else { panic!("{full}") };
    assert!(problem.what.contains("of the GPU's memory") && problem.what.contains("1.1 GB are free"), "{problem:?}");
    others_hold(0);
    whole::try_picture_of(folder.path(), device.backend().unwrap()).unwrap();
}

#[test]
fn a_card_that_others_fill_is_refused_with_numbers_and_used_once_it_has_room() {
    with_card("fills", &[]);
}

fn fails(card: &Path) {
    let device = choose(DeviceWish::Auto).unwrap().device;
    let (folder, backend) = (whole::materialised("sd15-inpaint"), device.backend().unwrap());
    std::fs::write(card.join("fault"), "").unwrap();
    let run = std::panic::AssertUnwindSafe(|| whole::try_picture_of(folder.path(), backend).map(drop));
    let why = *std::panic::catch_unwind(run).unwrap_err().downcast::<String>().unwrap();
    assert!(why.contains("an illegal memory access was encountered"), "{why}");
    std::fs::remove_file(card.join("fault")).unwrap();
    assert!(matches!(refusal(DeviceWish::Auto), NoGpu::Unusable(_)), "only another process has the card again");
}

#[test]
fn a_card_that_fails_in_a_run_is_lost_to_its_process() {
    with_card("fails", &[]);
}

fn multiplies(card_folder: &Path) {
    let meter = Card::open(0).unwrap();
    let before = free(&meter);
    let device = choose(DeviceWish::Auto).unwrap().device;
    assert_eq!((device.to_string().as_str(), device.no_library()), ("Played GPU 0, f16, cuBLASLt 12.9", None));
    let device = Device::choose(DeviceWish::Auto, Element::Bf16, Library::Auto, 1, lost, tried).unwrap().device;
    assert_eq!((device.to_string().as_str(), device.no_library()), ("Played GPU 0, bf16, cuBLASLt 12.9", None));
    for case in whole::recorded("sd15-inpaint", card().unwrap(), Element::F16) {
        assert!(case.outcome.holds(), "{}: {:?}", case.name, case.outcome);
    }
    assert_eq!((free(&meter), told(card_folder, "blas-handles").as_str()), (before, "0"), "all was given back");
    let device = Device::choose(DeviceWish::Auto, Element::F16, Library::Off, 1, lost, tried).unwrap().device;
    assert_eq!((device.to_string().as_str(), device.no_library()), ("Played GPU 0, f16", None));
    let device = Device::choose(DeviceWish::Auto, Element::F32, Library::Auto, 1, lost, tried).unwrap().device;
    assert_eq!((device.to_string().as_str(), device.no_library()), ("Played GPU 0, f32", None));
}

/// The trial in half types, and a whole recording in one, with linear layers by the library.
#[test]
fn a_library_multiplies_as_near_to_the_reference_as_kernels() {
    with_library("multiplies", &[]);
}

fn multiplies_wrong() {
    let device = choose(DeviceWish::Auto).unwrap().device;
    assert_eq!(device.to_string(), "Played GPU 0, f16");
    let why = device.no_library().unwrap();
    assert!(why.starts_with("cuBLASLt 12.9 is not used") && why.contains("something else than the CPU"), "{why}");
    // What is loaded later leaves it alone too.
    assert_eq!(device.backend().unwrap().device(), "Played GPU 0, f16");
}

#[test]
fn a_library_that_multiplies_wrong_is_left_alone() {
    with_library("multiplies wrong", &[("blas-wrong", "")]);
}

fn has_no_handle() {
    let device = choose(DeviceWish::Auto).unwrap().device;
    assert_eq!(device.to_string(), "Played GPU 0, f16");
    let why = device.no_library().unwrap();
    assert!(why.starts_with("cuBLASLt 12.9 cannot be used") && why.contains("not initialized"), "{why}");
}

#[test]
fn a_library_that_cannot_be_opened_is_done_without() {
    with_library("has no handle", &[("blas-lacks", "")]);
}

fn is_for(driver: &str) {
    let device = choose(DeviceWish::Auto).unwrap().device;
    // Where this machine has another one, it does not take a played card.
    let (words, why) = match driver {
        "13" => ("Played GPU 0, f16, cuBLASLt 12.9", None),
        _ => ("Played GPU 0, f16", Some("cuBLASLt")),
    };
    assert_eq!(
        (device.to_string().as_str(), device.no_library().map(|why| &why[..8])),
        (words, why),
        "{:?}",
        device.no_library()
    );
}

#[test]
fn a_library_is_taken_with_the_drivers_that_it_is_for() {
    let newer = tempfile::tempdir().unwrap();
    std::fs::copy(blas().join("libcublasLt.so.12"), newer.path().join("libcublasLt.so.13")).unwrap();
    let libraries = format!("{}:{}", driver().display(), newer.path().display());
    run("is for 13", &[("version", "13000")], libraries.clone());
    run("is not for 12", &[("version", "12080")], libraries);
}
