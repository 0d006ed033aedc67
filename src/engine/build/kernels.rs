//! Compiles the kernels for every kind of card, by the NVRTC of `CUDA_HOME` or `/usr/local/cuda`, and writes them as a list for
//! `cuda/images.rs`. Knows no kernel; without NVRTC the list is empty.

use crate::{
    cargo,
    nvrtc::{Code, Nvrtc},
    out, sources, variable,
};
use lzma_rust2::{XzOptions, XzWriter};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

/// Where CUDA's own packages put it.
const USUAL: &str = "/usr/local/cuda";
/// How hard it is packed: with memory for eight megabytes, in which the same kernel for another type is found again.
const PRESET: u32 = 6;
/// The first that knows all that the kernels are written in. Its code runs with every driver of its major version.
const OLDEST_COMPILER: i32 = 12_000;

/// Something to compile for: a card's compute capability, and which cards its code runs on, as `images::RunsOn` says it.
struct Target {
    major: u32,
    minor: u32,
    runs_on: RunsOn,
}

#[derive(Clone, Copy)]
enum RunsOn {
    Family,
    Exactly,
    Later,
}

/// What is compiled for. The last is assembly, for cards that came after.
const TARGETS: [Target; 7] = [
    Target { major: 8, minor: 0, runs_on: RunsOn::Family },
    Target { major: 8, minor: 6, runs_on: RunsOn::Family },
    Target { major: 8, minor: 9, runs_on: RunsOn::Family },
    Target { major: 9, minor: 0, runs_on: RunsOn::Exactly },
    Target { major: 10, minor: 0, runs_on: RunsOn::Family },
    Target { major: 12, minor: 0, runs_on: RunsOn::Family },
    Target { major: 12, minor: 0, runs_on: RunsOn::Later },
];

impl Target {
    /// As NVRTC calls it: `sm_90a`.
    fn name(&self) -> String {
        let (kind, only) = match self.runs_on {
            RunsOn::Family => ("sm", ""),
            RunsOn::Exactly => ("sm", "a"),
            RunsOn::Later => ("compute", ""),
        };
        format!("{kind}_{}{}{only}", self.major, self.minor)
    }

    fn code(&self) -> Code {
        match self.runs_on {
            RunsOn::Family | RunsOn::Exactly => Code::Machine,
            RunsOn::Later => Code::Assembly,
        }
    }

    /// This target's entry in the list.
    fn entry(&self, packed: &Path, bytes: usize) -> String {
        let runs_on = match self.runs_on {
            RunsOn::Family => "Family",
            RunsOn::Exactly => "Exactly",
            RunsOn::Later => "Later",
        };
        let Target { major, minor, .. } = self;
        format!(
            "    Image {{ runs_on: RunsOn::{runs_on}({major}, {minor}), bytes: {bytes}, packed: include_bytes!({packed:?}) }},\n"
        )
    }
}

/// Writes the list.
pub(super) fn compile() {
    // Not the folder: what is beside them for the host is nothing to NVRTC.
    let beside = fs::read_dir(sources().join("cuda/kernels")).into_iter().flatten().flatten();
    for file in beside.map(|entry| entry.path()).filter(|path| path.is_file()) {
        cargo(&format!("rerun-if-changed={}", file.display()));
    }
    cargo("rerun-if-env-changed=CUDA_HOME");
    let home = variable("CUDA_HOME").unwrap_or_else(|| PathBuf::from(USUAL));
    let (oldest_driver, entries) = match Nvrtc::of(&home) {
        Ok(compiler) if compiler.version() >= OLDEST_COMPILER => (compiler.version() / 1000 * 1000, all(&compiler)),
        Ok(compiler) => {
            (OLDEST_COMPILER, without(&format!("the NVRTC of {} is too old ({})", home.display(), compiler.version())))
        }
        Err(why) => (OLDEST_COMPILER, without(&why)),
    };
    let list = format!(
        "/// The first driver that takes these, as drivers count.\npub(super) const OLDEST_DRIVER: i32 = {oldest_driver};\n\
         /// The kernels for all cards.\npub(super) const IMAGES: &[Image] = &[\n{}];\n",
        entries.concat()
    );
    fs::write(out().join("images.rs"), list).expect("the build folder can be written");
}

fn without(why: &str) -> Vec<String> {
    cargo(&format!("warning=this build will use no GPU, because {why}; CUDA_HOME=$(setup/nvrtc.sh) brings what is needed"));
    Vec::new()
}

/// Compiles for everything that the compiler knows, as many at a time as Cargo has jobs.
fn all(compiler: &Nvrtc) -> Vec<String> {
    if compiler.version() / 1000 > OLDEST_COMPILER / 1000 {
        cargo("warning=this NVRTC's code needs a newer driver than that of CUDA_HOME=$(setup/nvrtc.sh)");
    }
    let known = compiler.cards();
    let (targets, foreign): (Vec<&Target>, Vec<&Target>) =
        TARGETS.iter().partition(|target| known.contains(&(target.major * 10 + target.minor)));
    for target in foreign {
        cargo(&format!("warning=this NVRTC does not know {}: such GPUs will not be used", target.name()));
    }
    let at_a_time = variable("NUM_JOBS").and_then(|jobs| jobs.to_string_lossy().parse().ok()).unwrap_or(1);
    let (next, done) = (Mutex::new(0..targets.len()), Mutex::new(vec![String::new(); targets.len()]));
    thread::scope(|scope| {
        for _ in 0..targets.len().min(at_a_time) {
            scope.spawn(|| {
                loop {
                    let Some(number) = next.lock().expect("nobody fails with it").next() else { return };
                    let entry = one(compiler, targets[number]);
                    done.lock().expect("nobody fails with it")[number] = entry;
                }
            });
        }
    });
    done.into_inner().expect("all threads ended well")
}

/// Compiles for one target, and leaves the code beside what the compiler said of registers and spills.
fn one(compiler: &Nvrtc, target: &Target) -> String {
    let folder = sources().join("cuda/kernels");
    let name = target.name();
    let options = ["--std=c++17".to_owned(), format!("--gpu-architecture={name}"), "--ptxas-options=-v".to_owned()];
    let made = compiler.compile(&folder.join("kernels.cu"), &options, target.code());
    let (code, log) = made.unwrap_or_else(|why| panic!("the kernels do not compile for {name}: {why}"));
    let packed = out().join(format!("{name}.xz"));
    let pack = || {
        let mut packer = XzWriter::new(Vec::new(), XzOptions::with_preset(PRESET))?;
        packer.write_all(&code)?;
        packer.finish()
    };
    fs::write(&packed, pack().expect("memory takes everything")).expect("the build folder can be written");
    fs::write(out().join(format!("{name}.log")), log).expect("the build folder can be written");
    target.entry(&packed, code.len())
}
