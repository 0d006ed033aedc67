//! The kernels as NVIDIA's compiler makes them (PTX), run step by step on the host. Knows no operation.
//!
//! Slower by far than the shim, and stricter: it is NVIDIA's reading of the sources that runs, with the instructions that
//! `warp.cuh` spells out. It tells of memory that is read or written out of an allocation's bounds, askew, or by two threads without
//! a barrier between them, of shared memory that nobody has written, and of barriers that some threads never come to.

mod arithmetic;
mod memory;
#[path = "../../../build/nvrtc.rs"]
#[allow(dead_code, reason = "a build asks more of it")]
mod nvrtc;
mod program;
mod text;
mod together;
mod traffic;
mod warp;

use crate::cuda::driver::{LANES, Launch, THREADS};
use memory::{Global, Shared};
use nvrtc::{Code, Nvrtc};
use program::{Kernel, Module};
use std::{path::Path, sync::OnceLock};
use warp::{Block, Stopped, Warp};

pub(super) use memory::Piece;
pub(super) use traffic::Traffic;

/// What is compiled for: of what NVIDIA's compiler makes for the cards of `build/kernels.rs`, each that differs in its instructions.
/// Those of 8.0 stand for 8.6 and 8.9, of 12.0 for 10.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Ampere,
    Hopper,
    Blackwell,
}

impl Target {
    /// The first, and all where a test may take long: the compiler takes half a minute for each.
    #[allow(clippy::disallowed_methods, reason = "a test that may take long")]
    pub(super) fn tested() -> &'static [Target] {
        let long = std::env::var_os("TESTS_LONG").is_some_and(|v| v == "1");
        if long { &[Target::Ampere, Target::Hopper, Target::Blackwell] } else { &[Target::Ampere] }
    }

    fn name(self) -> &'static str {
        match self {
            Target::Ampere => "compute_80",
            Target::Hopper => "compute_90",
            Target::Blackwell => "compute_120",
        }
    }
}

/// The kernels for a card, compiled once for all tests.
fn module(target: Target) -> &'static Module {
    static MODULES: [OnceLock<Module>; 3] = [const { OnceLock::new() }; 3];
    MODULES[target as usize].get_or_init(|| {
        let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
        let home = engine.join("../../target/tools/nvrtc/cuda");
        let compiler = Nvrtc::of(&home).unwrap_or_else(|why| {
            panic!("these tests need NVIDIA's compiler, which setup/nvrtc.sh brings and no GPU needs: {why}")
        });
        let options = ["--std=c++17".to_owned(), format!("--gpu-architecture={}", target.name())];
        let (text, _) = compiler.compile(&engine.join("cuda/kernels/kernels.cu"), &options, Code::Assembly).unwrap();
        text::module(&String::from_utf8_lossy(&text)).unwrap()
    })
}

/// Runs a kernel on pieces of memory, from low to high, and says how often it went to memory.
///
/// # Panics
/// Where there is no such kernel, and where it does what a card forbids or leaves open.
pub(super) fn launch(target: Target, launch: &Launch, memory: Vec<Piece<'_>>) -> Traffic {
    let mut traffic = Traffic::default();
    let (module, entry) = (module(target), launch.entry());
    let kernel = module.kernels.get(&entry).unwrap_or_else(|| panic!("no kernel is called {entry}"));
    let args: &[u8] = bytemuck::cast_slice(&launch.args);
    assert_eq!(args.len(), kernel.args, "{entry} is told something of another size than it expects");
    let mut global = Global::new(memory, &module.constants);
    let (across, down) = launch.blocks;
    for number in 0..across * down {
        let place = (number % across, number / across);
        let shared = Shared::new(kernel.shared);
        let block = Block { kernel, args, global: &mut global, shared, place, number, barriers: 0, traffic: Traffic::default() };
        traffic.add(run(block).unwrap_or_else(|why| panic!("{entry}, block {place:?}: {why}")));
    }
    traffic
}

/// Runs a block from barrier to barrier.
fn run(mut block: Block<'_, '_>) -> Result<Traffic, String> {
    let kernel: &Kernel = block.kernel;
    let mut warps: Vec<Warp> = (0..THREADS / LANES).map(|number| Warp::new(kernel, number, block.place)).collect();
    loop {
        let mut ended = 0;
        for warp in &mut warps {
            ended += usize::from(warp.run(&mut block)? == Stopped::Ended);
        }
        if ended == warps.len() {
            break;
        }
        if ended > 0 {
            return Err("some threads never come to a barrier".to_owned());
        }
        block.barriers += 1;
    }
    if warps.iter().any(Warp::leaves_copies) {
        Err("copies are left that nobody waits for".to_owned())
    } else {
        Ok(block.traffic)
    }
}
