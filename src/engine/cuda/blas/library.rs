//! Where NVIDIA's cuBLASLt lies on this machine, and its functions. Loaded when it is first asked for, and never again let go.
//! Knows no product and no card.
//!
//! Unsafe for calls of a library by the signatures of its header, which cudarc has.
#![allow(unsafe_code)]

use cudarc::cublaslt::sys;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::{
    error::Error as _,
    ffi::{CStr, c_char, c_int, c_void},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The library's names, newest first, each with the oldest driver that it works with, as drivers count. Both have every function
/// below, with the same signature.
const NAMES: [(&str, i32); 2] = [("libcublasLt.so.13", 13_000), ("libcublasLt.so.12", 12_000)];
/// Folders of CUDA's own packages.
const OF_CUDA: [&str; 2] = ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"];
/// Folders above a Python's packages, where pods have theirs. A `*` stands for any name.
const OF_PYTHON: [&str; 5] = [
    "/usr/local/lib/python3*/dist-packages",
    "/usr/local/lib/python3*/site-packages",
    "/usr/lib/python3*/dist-packages",
    "/opt/*/lib/python3*/site-packages",
    "/venv/lib/python3*/site-packages",
];
/// Where the library lies below those: by NVIDIA's packages for CUDA 13 and 12, and in builds of PyTorch that bring their own.
const IN_PYTHON: [&str; 3] = ["nvidia/cu13/lib", "nvidia/cublas/lib", "torch/lib"];

/// What to do where there is none.
const REMEDY: &str = "Install it (python3 -m venv /opt/cublas && /opt/cublas/bin/pip install nvidia-cublas-cu12), or name its folder in \
                      LD_LIBRARY_PATH";

/// What a call comes to: 0 where it did what it should. No enumeration, because a newer library may say what nobody knows yet.
pub(super) type Status = u32;
type Handle = sys::cublasLtHandle_t;
type Operation = sys::cublasLtMatmulDesc_t;
type Layout = sys::cublasLtMatrixLayout_t;
type Preference = sys::cublasLtMatmulPreference_t;

/// An algorithm that the library chose, as its header has it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Found {
    pub(super) algorithm: sys::cublasLtMatmulAlgo_t,
    /// Bytes.
    pub(super) workspace: usize,
    pub(super) state: Status,
    waves: f32,
    reserved: [c_int; 4],
}

impl Found {
    /// Nothing yet.
    pub(super) fn new() -> Found {
        Found { algorithm: sys::cublasLtMatmulAlgo_t { data: [0; 8] }, workspace: 0, state: 0, waves: 0.0, reserved: [0; 4] }
    }
}

/// The library's functions, as its header has them.
macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident = $name:literal: fn($($arg:ty),* $(,)?) -> $result:ty;)*) => {
        /// The functions that are called.
        #[derive(Clone, Copy, Debug)]
        pub(super) struct Functions { $($(#[$doc])* pub(super) $field: unsafe extern "C" fn($($arg),*) -> $result),* }

        impl Functions {
            /// Those of a library; or which one it lacks.
            fn of(library: &Library) -> Result<Functions, String> {
                // SAFETY: the library is cuBLASLt by its name, whose header gives these signatures.
                Ok(Functions { $($field: *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(|_| format!("it lacks {}", $name))?),* })
            }
        }
    };
}

functions! {
    version = "cublasLtGetVersion": fn() -> usize;
    /// A status in words.
    words = "cublasLtGetStatusString": fn(Status) -> *const c_char;
    create = "cublasLtCreate": fn(*mut Handle) -> Status;
    destroy = "cublasLtDestroy": fn(Handle) -> Status;
    operation = "cublasLtMatmulDescCreate": fn(*mut Operation, sys::cublasComputeType_t, sys::cudaDataType_t) -> Status;
    set_operation = "cublasLtMatmulDescSetAttribute": fn(Operation, sys::cublasLtMatmulDescAttributes_t, *const c_void, usize) -> Status;
    end_operation = "cublasLtMatmulDescDestroy": fn(Operation) -> Status;
    layout = "cublasLtMatrixLayoutCreate": fn(*mut Layout, sys::cudaDataType_t, u64, u64, i64) -> Status;
    set_layout = "cublasLtMatrixLayoutSetAttribute": fn(Layout, sys::cublasLtMatrixLayoutAttribute_t, *const c_void, usize) -> Status;
    end_layout = "cublasLtMatrixLayoutDestroy": fn(Layout) -> Status;
    preference = "cublasLtMatmulPreferenceCreate": fn(*mut Preference) -> Status;
    set_preference = "cublasLtMatmulPreferenceSetAttribute":
        fn(Preference, sys::cublasLtMatmulPreferenceAttributes_t, *const c_void, usize) -> Status;
    end_preference = "cublasLtMatmulPreferenceDestroy": fn(Preference) -> Status;
    /// The library's own choice of an algorithm.
    heuristic = "cublasLtMatmulAlgoGetHeuristic": fn(
        Handle, Operation, Layout, Layout, Layout, Layout, Preference, c_int, *mut Found, *mut c_int,
    ) -> Status;
    /// Whether an algorithm can do this, and with how much working memory.
    check = "cublasLtMatmulAlgoCheck": fn(
        Handle, Operation, Layout, Layout, Layout, Layout, *const sys::cublasLtMatmulAlgo_t, *mut Found,
    ) -> Status;
    multiply = "cublasLtMatmul": fn(
        Handle, Operation, *const c_void, *const c_void, Layout, *const c_void, Layout, *const c_void, *const c_void, Layout,
        *mut c_void, Layout, *const sys::cublasLtMatmulAlgo_t, *mut c_void, usize, sys::cudaStream_t,
    ) -> Status;
}

/// The library of this machine for a driver of this version, or why there is none and what to do, in words.
pub(super) fn found(driver: i32) -> Result<&'static Functions, String> {
    // A process has one driver.
    static FOUND: OnceLock<Result<Functions, String>> = OnceLock::new();
    FOUND.get_or_init(|| find(driver)).as_ref().map_err(Clone::clone)
}

/// The names of what works with a driver of this version.
fn names_for(driver: i32) -> impl Iterator<Item = &'static str> + Clone {
    NAMES.into_iter().filter(move |(_, oldest)| *oldest <= driver).map(|(name, _)| name)
}

/// "cuBLASLt 13.1"
pub(super) fn name(functions: &Functions) -> String {
    // SAFETY: takes nothing.
    let version = unsafe { (functions.version)() };
    format!("cuBLASLt {}.{}", version / 10_000, version / 100 % 100)
}

/// A status in words.
pub(super) fn words(functions: &Functions, status: Status) -> String {
    // SAFETY: takes any number, and gives a text that stays, or nothing.
    let told = unsafe { (functions.words)(status) };
    if told.is_null() {
        return format!("status {status}");
    }
    // SAFETY: it is the library's own text, which ends with a zero.
    unsafe { CStr::from_ptr(told) }.to_string_lossy().into_owned()
}

fn find(driver: i32) -> Result<Functions, String> {
    let mut odd = Vec::new();
    // What the system's loader knows was named to it by whoever administers the machine.
    for name in names_for(driver) {
        if let Ok(functions) = load(Path::new(name)) {
            return Ok(functions);
        }
    }
    for path in candidates(Path::new("/"), driver) {
        let outcome = trusted(&path).and_then(|()| load(&path));
        match outcome {
            Ok(functions) => return Ok(functions),
            Err(why) => odd.push(format!("{}: {why}", path.display())),
        }
    }
    Err(match odd.first() {
        None => format!("cuBLASLt for this driver was not found. {REMEDY}"),
        Some(odd) => format!("cuBLASLt cannot be used: {odd}"),
    })
}

fn load(path: &Path) -> Result<Functions, String> {
    // SAFETY: the constructors of NVIDIA's library, which every program that uses it runs.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|e| e.source().map_or_else(|| e.to_string(), ToString::to_string))?;
    let functions = Functions::of(&library)?;
    // Its functions are called as long as the process lives.
    std::mem::forget(library);
    Ok(functions)
}

/// The files below `root` that may be the library for a driver of this version, in the order in which they are tried.
fn candidates(root: &Path, driver: i32) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = OF_CUDA.iter().map(|folder| below(root, folder)).collect();
    for python in OF_PYTHON {
        for packages in matching(root, python) {
            folders.extend(IN_PYTHON.map(|folder| packages.join(folder)));
        }
    }
    let files = names_for(driver).flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.filter(|file| file.is_file()).collect()
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Folders below `root` whose path is `pattern`, by name.
fn matching(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![root.to_path_buf()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let Some((begin, end)) = part.split_once('*') else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let fits = |name: &str| name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end);
        found =
            found.iter().flat_map(|path| names(path).into_iter().filter(|name| fits(name)).map(|name| path.join(name))).collect();
    }
    found
}

/// What a folder has, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A library becomes part of this process. Nobody may have put it there who is neither root nor this process's user: tools are
/// installed by users of their own, and what they write is not run here.
fn trusted(path: &Path) -> Result<(), String> {
    let whole = fs::canonicalize(path).map_err(|e| e.to_string())?;
    let own = rustix::process::geteuid().as_raw();
    for part in whole.ancestors() {
        let meta = fs::metadata(part).map_err(|e| e.to_string())?;
        // In a folder with the sticky bit others cannot replace what is not theirs.
        let open = meta.mode() & 0o022 != 0 && !(meta.is_dir() && meta.mode() & 0o1000 != 0);
        let part = part.display();
        if open {
            return Err(format!("it is left alone, because others may write to {part}; chmod go-w {part} changes that"));
        }
        if meta.uid() != 0 && meta.uid() != own {
            return Err(format!("it is left alone, because {part} is neither root's nor of the user that this runs as"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_the_library_writes_has_the_size_that_its_header_says() {
        assert_eq!(size_of::<Found>(), size_of::<sys::cublasLtMatmulHeuristicResult_t>());
        assert_eq!(std::mem::offset_of!(Found, state), std::mem::offset_of!(sys::cublasLtMatmulHeuristicResult_t, state));
    }

    fn put(root: &Path, path: &str) -> PathBuf {
        let file = below(root, path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        file
    }

    #[test]
    fn it_is_looked_for_where_pods_have_it_newest_first() {
        let root = tempfile::tempdir().unwrap();
        let newest = 13_020;
        assert_eq!(candidates(root.path(), newest), Vec::<PathBuf>::new());
        let older = put(root.path(), "/usr/local/lib/python3.11/dist-packages/nvidia/cublas/lib/libcublasLt.so.12");
        let of_torch = put(root.path(), "/opt/conda/lib/python3.10/site-packages/torch/lib/libcublasLt.so.13");
        let of_wheel = put(root.path(), "/usr/local/lib/python3.12/dist-packages/nvidia/cu13/lib/libcublasLt.so.13");
        let of_cuda = put(root.path(), "/usr/local/cuda/lib64/libcublasLt.so.13");
        put(root.path(), "/usr/local/lib/python3.12/dist-packages/nvidia/cu13/lib/libcublas.so.13");
        put(root.path(), "/usr/local/lib/ruby/dist-packages/nvidia/cu13/lib/libcublasLt.so.13");
        assert_eq!(candidates(root.path(), newest), [of_cuda, of_wheel, of_torch, older.clone()]);
        assert_eq!(candidates(root.path(), 12_080), [older], "a driver of CUDA 12 takes nothing newer");
    }

    #[test]
    fn what_others_may_write_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let file = put(root.path(), "/usr/local/cuda/lib64/libcublasLt.so.13");
        let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let folder = file.parent().unwrap();
        trusted(&file).unwrap();
        for (path, mode) in [(file.as_path(), 0o666), (file.as_path(), 0o664), (folder, 0o777), (folder, 0o775)] {
            let before = fs::metadata(path).unwrap().permissions();
            allow(path, mode);
            assert!(trusted(&file).is_err_and(|why| why.contains("left alone")), "{mode:o}");
            fs::set_permissions(path, before).unwrap();
        }
        allow(folder, 0o1777);
        trusted(&file).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
            assert!(trusted(&file).is_err_and(|why| why.contains("neither root's")), "another user's file");
        }
        // A link is what it leads to.
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(trusted(&link).is_ok(), trusted(&file).is_ok());
        assert!(trusted(&root.path().join("nothing")).is_err());
    }

    #[test]
    fn what_is_no_library_is_refused_in_words() {
        let root = tempfile::tempdir().unwrap();
        let file = put(root.path(), "/usr/local/cuda/lib64/libcublasLt.so.13");
        assert!(load(&file).is_err_and(|why| why.contains("libcublasLt.so.13")));
    }
}
