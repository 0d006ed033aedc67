//! The kernels compiled by this machine's C++ compiler, and run by the shim that stands beside them. Knows no driver.
#![allow(unsafe_code)]

use crate::cuda::driver::{Launch, THREADS};
use libloading::Library;
use std::{
    ffi::{CString, c_char, c_int, c_void},
    path::Path,
    sync::{Mutex, OnceLock},
};

type ShimLaunch = unsafe extern "C" fn(*const c_char, u32, u32, u32, *const c_void, u64, c_int, *const [u64; 2], u64) -> c_int;

/// The shim keeps one block at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Compiles the kernels, once for all tests.
#[allow(clippy::disallowed_methods, reason = "a compiler, for a test")]
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda/kernels");
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("kernels.so");
        let done = std::process::Command::new("c++")
            // Fortified sources take a change of stacks by a jump for an attack.
            .args([
                "-std=c++17",
                "-O2",
                "-U_FORTIFY_SOURCE",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-shared",
                "-fPIC",
                "-x",
                "c++",
                "-o",
            ])
            .arg(&built)
            .arg(sources.join("kernels.cu"))
            .output()
            .expect("these tests need a C++ compiler called c++ (Debian: g++)");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        // SAFETY: what its constructors do is to fill a table of kernels.
        unsafe { Library::new(&built) }.unwrap()
    })
}

/// Runs a kernel whose addresses are this process's, threads and blocks last to first where `backwards`. `memory` is what
/// it may read, piece by piece from low to high: the first byte, and the one after the last.
///
/// # Panics
/// Where there is no such kernel, where it is told something of another size than it expects, where a barrier, or what a warp
/// does together, is met by some threads only, where a chunk lies askew or comes from elsewhere, and where a matrix is loaded in more turns than it needs.
pub(super) fn launch(launch: &Launch, backwards: bool, memory: &[[u64; 2]]) {
    let name = CString::new(launch.entry()).unwrap();
    let library = library();
    // A test that failed in here says nothing of the next launch.
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: the function has this signature, `args` lives through the call, and nobody else is inside. The kernel's
    // addresses come from the double, which holds the memory; a kernel that goes beyond it is what these tests look for.
    let code = unsafe {
        let call = library.get::<ShimLaunch>(b"shim_launch\0").unwrap();
        let (across, down) = launch.blocks;
        let size = 8 * launch.args.len() as u64;
        let args = launch.args.as_ptr().cast();
        let (memory, pieces) = (memory.as_ptr(), memory.len() as u64);
        call(name.as_ptr(), across, down, THREADS, args, size, c_int::from(backwards), memory, pieces)
    };
    let entry = launch.entry();
    match code {
        0 => {}
        1 => panic!("no kernel is called {entry}"),
        2 => panic!("{entry} is told {} bytes, which is not what it expects", 8 * launch.args.len()),
        3 => panic!("{entry} has a barrier, or something for a whole warp, that some threads never come to"),
        4 => panic!("{entry} copies or loads a chunk where none can be"),
        5 => panic!("{entry} loads a matrix whose rows lie in the same banks"),
        6 => panic!("{entry} reads an operand where no memory is"),
        other => panic!("{entry}: {other}"),
    }
}
