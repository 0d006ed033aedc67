//! What the machine has: room, memory, a clock, graphics cards, programs. Knows no studio.

use super::Finding::{self, Bad, Good, Odd};
use crate::cli::{compute, try_gpu};
use engine::{
    EngineError,
    device::{self, Choice, Device},
};
use panel::{
    Config,
    container_engine::{self, Way},
    gpus::Gpus,
    secrets::random_token,
    system::host::memory_now,
};
use protocol::{DeviceWish, NoGpu};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Bytes written to see whether there is room: a quota shows in no table.
const PROBE: usize = 32 << 20;
/// A clock before the first of January 2025 was never set, in seconds since 1970.
const SET: u64 = 1_735_689_600;
/// Below so much memory, in bytes, the embedded model runs and little else does.
const MEMORY_SMALL: u64 = 4 << 30;
/// Below so many descriptors a busy studio runs out of them.
const FILES_FEW: u64 = 4_096;
/// Programs that scripts of tools call, and the Debian package that has each.
const PROGRAMS: [(&str, &str); 4] = [("git", "git"), ("curl", "curl"), ("python3", "python3"), ("tar", "tar")];

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let folders: Vec<_> = config.surroundings.variables.get("PATH").into_iter().flat_map(std::env::split_paths).collect();
    let has = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let mut findings = vec![room(&config.data), memory(), clock()];
    findings.extend(files());
    let gpus = Gpus::open();
    findings.extend(cards(&gpus, gpus_promised(config)));
    findings.extend(models(config, gpus.count()));
    findings.push(containers(config));
    findings.push(programs(has, rustix::process::geteuid().is_root()));
    findings
}

/// Writes and syncs a file in the data folder, or in the first folder above it that exists.
fn room(data: &Path) -> Finding {
    let folder = data.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("."));
    let outcome = probe(folder);
    let (folder, megabytes) = (folder.display(), PROBE / 1_000_000);
    match outcome {
        Ok(()) => Good(format!("disk: {megabytes} MB could be written to {folder}")),
        Err(e) => Bad(format!("disk: {megabytes} MB cannot be written to {folder}: {}", advice(&e))),
    }
}

/// A file of its own: in a folder that others write to, a name that can be guessed may be a link to what is somebody's.
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".easel-doctor-{}", random_token().expose()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    let written = file.write_all(&vec![0x5a; PROBE]).and_then(|()| file.sync_all());
    let _ = fs::remove_file(&path);
    written
}

/// What a full disk or a forbidden folder means here.
fn advice(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::StorageFull => format!("{e}; remove something, or take a larger disk"),
        // A network volume's quota is reached while its table still shows room.
        io::ErrorKind::QuotaExceeded => {
            format!("{e}; the volume's quota is used up, whatever df shows: remove something, or grow it")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("{e}; let this user write there, or choose another folder with --data")
        }
        _ => e.to_string(),
    }
}

fn memory() -> Finding {
    // As the studio's own page tells it: a container may have less than its machine.
    let bytes = memory_now().total;
    if bytes == 0 {
        return Odd("memory: the system does not say how much there is".into());
    }
    let gigabytes = bytes as f64 / 1e9;
    if bytes < MEMORY_SMALL {
        Odd(format!("memory: {gigabytes:.1} GB; larger models than the built-in one may not fit"))
    } else {
        Good(format!("memory: {gigabytes:.1} GB"))
    }
}

fn clock() -> Finding {
    match std::time::UNIX_EPOCH.elapsed() {
        Ok(now) if now.as_secs() > SET => Good("clock: set".into()),
        _ => Bad("clock: it was never set; logins and links depend on it".into()),
    }
}

fn files() -> Option<Finding> {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    (most < FILES_FEW).then(|| Odd(format!("files: this user may open only {most} at once; ulimit -n {FILES_FEW} allows more")))
}

/// Cards that the pod's provider says it rents out here.
fn gpus_promised(config: &Config) -> u32 {
    let variables = &config.surroundings.variables;
    ["RUNPOD_GPU_COUNT", "GPU_COUNT"].iter().find_map(|name| variables.get(name)?.parse().ok()).unwrap_or(0)
}

fn cards(gpus: &Gpus, promised: u32) -> Vec<Finding> {
    let (cards, why) = gpus.look();
    if let Some(why) = why {
        let why = why.trim_end_matches('.');
        return vec![if promised > 0 {
            Bad(format!(
                "GPU: the provider rents out {promised}, and none is to be seen: {why}. Start the pod again; if that does not help, rent another"
            ))
        } else {
            Odd(format!("GPU: {why}; the built-in model paints on the CPU, tools that need a card do not run"))
        }];
    }
    let free = |card: &panel::gpus::Gpu| card.memory_total.saturating_sub(card.memory_used) as f64 / 1e9;
    let line = |card: &panel::gpus::Gpu| {
        Good(format!("GPU: {}, {:.1} of {:.1} GB free", card.name, free(card), card.memory_total as f64 / 1e9))
    };
    cards.iter().map(line).collect()
}

/// Where the studio's own models run: a line for each engine.
fn models(config: &Config, cards: u32) -> Vec<Finding> {
    let mut wishes = config.engine_device.wishes(cards);
    // Engines on the CPU are one as good as the other.
    wishes.dedup();
    let library = compute::library(config.engine_cublaslt);
    // What keeps one card's library from being used keeps the others' too, and is told once.
    let mut notes = BTreeSet::new();
    let mut findings = Vec::new();
    for wish in wishes {
        let choice = Device::choose(wish, device::USUAL, library, 1, compute::lost, try_gpu::apart);
        notes.extend(choice.as_ref().ok().and_then(|choice| choice.device.no_library().map(str::to_owned)));
        findings.push(model(wish, choice, cards > 0));
    }
    // Nothing is wrong then, but larger models may take longer than they could.
    findings.extend(notes.iter().map(|why| Odd(format!("cuBLASLt: linear layers are the engine's own kernels'. {why}"))));
    findings
}

/// A machine that has a card and paints on the CPU has something to mend.
fn model(wish: DeviceWish, choice: Result<Choice, EngineError>, has_card: bool) -> Finding {
    match choice {
        Err(why) => {
            Bad(format!("models: {}", why.problem().map_or_else(|| why.to_string(), |p| format!("{} {}", p.what, p.remedy))))
        }
        Ok(_) if wish == DeviceWish::Cpu => Good("models: run on the CPU (engine_device = \"cpu\")".into()),
        Ok(Choice { device, no_gpu: None }) => Good(format!("models: run on {device}, which computes right")),
        Ok(Choice { no_gpu: Some(why), .. }) => no_gpu(wish, has_card, &why),
    }
}

/// A card that others have now says nothing of the machine: often it is this studio that has it.
fn no_gpu(wish: DeviceWish, has_card: bool, why: &NoGpu) -> Finding {
    match (why, wish) {
        (NoGpu::Taken(why), _) => {
            let which = if let DeviceWish::AutoOn(number) = wish { format!("GPU {number}") } else { "the GPU".into() };
            Odd(format!("models: {which} could not be tried, because others have it now. {why} The tools page shows who"))
        }
        (NoGpu::Unusable(why), DeviceWish::AutoOn(number)) => Bad(format!("models: GPU {number} is not used. {why}")),
        (NoGpu::Unusable(why), _) if has_card => Bad(format!("models: run on the CPU although there is a GPU. {why}")),
        (NoGpu::Unusable(_), _) => Good("models: run on the CPU".into()),
    }
}

/// The container engine. Without one tools run as processes, unless it is said that they must not.
fn containers(config: &Config) -> Finding {
    if config.containers == Way::Process {
        return Good("containers: not used (containers = \"process\")".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let probed = runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(container_engine::probe(config)));
    match probed {
        Ok(which) => Good(format!("containers: {which}")),
        Err(why) if config.containers == Way::Container => Bad(format!("containers: {why}")),
        Err(why) => Odd(format!("containers: {why}")),
    }
}

fn programs(has: impl Fn(&str) -> bool, root: bool) -> Finding {
    let missing: Vec<&str> = PROGRAMS.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Good("programs: git, curl, python3 and tar are here".into());
    }
    let list = missing.join(", ");
    if root {
        Odd(format!("programs: {list} missing; Easel installs them with the first tool that needs them"))
    } else {
        Bad(format!("programs: {list} missing, which tools need: apt-get install {}", missing.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_named_with_what_to_do() {
        assert!(matches!(programs(|_| true, false), Good(_)));
        let without = |missing: &'static str| move |program: &str| program != missing;
        assert_eq!(programs(without("git"), false), Bad("programs: git missing, which tools need: apt-get install git".into()));
        assert!(matches!(programs(without("git"), true), Odd(_)));
    }

    #[test]
    fn a_card_that_was_rented_and_is_not_there_is_bad() {
        let none = Gpus::Absent("No NVIDIA driver is installed here.".into());
        assert!(matches!(&cards(&none, 0)[..], [Odd(text)] if text.contains("paints on the CPU")));
        assert!(matches!(&cards(&none, 1)[..], [Bad(text)] if text.contains("rents out 1")));
    }

    #[test]
    fn a_card_that_is_taken_is_told_from_one_that_does_not_work() {
        let taken = NoGpu::Taken("No GPU is used: the GPU's memory is full.".into());
        let broken = NoGpu::Unusable("The GPU computes something else than the CPU.".into());
        assert!(matches!(&no_gpu(DeviceWish::Auto, true, &taken), Odd(text) if text.contains("memory is full")));
        assert!(matches!(&no_gpu(DeviceWish::Auto, true, &broken), Bad(text) if text.contains("although there is a GPU")));
        assert!(matches!(&no_gpu(DeviceWish::AutoOn(1), true, &broken), Bad(text) if text.contains("GPU 1")));
        assert!(matches!(&no_gpu(DeviceWish::Auto, false, &broken), Good(_)));
    }

    #[test]
    fn a_used_up_quota_is_told_from_a_full_disk() {
        let of = |errno: i32| advice(&io::Error::from_raw_os_error(errno));
        assert!(of(122).contains("whatever df shows") && of(28).contains("larger disk") && of(30).contains("--data"));
    }
}
