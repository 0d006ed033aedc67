//! NVIDIA's compiler as a library (NVRTC), loaded from a folder of CUDA. Knows no kernel.
//!
//! Unsafe for the library's calls, by the signatures of its header; every program that it makes is ended where it was made.
#![allow(unsafe_code)]

use libloading::{Library, Symbol};
use std::{
    ffi::{CString, c_char, c_int, c_void},
    fs,
    path::{Path, PathBuf},
    ptr,
};

/// Where a folder of CUDA has its libraries, and its headers.
const LIBRARIES: [&str; 3] = ["lib64", "lib", "targets/x86_64-linux/lib"];
const HEADERS: [&str; 2] = ["include", "targets/x86_64-linux/include"];
/// The library's names: of whole installations, and of those that only run programs.
const NAMES: [&str; 3] = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];
const DONE: c_int = 0;

type Program = *mut c_void;

/// What a source is compiled to.
#[derive(Clone, Copy)]
pub(super) enum Code {
    /// For one kind of card (a cubin).
    Machine,
    /// For whatever card a driver then translates it to (PTX, with its final zero).
    Assembly,
}

/// The compiler.
pub(super) struct Nvrtc {
    library: Library,
    headers: PathBuf,
    version: c_int,
}

impl Nvrtc {
    /// The compiler of a folder; or why there is none, in words.
    pub(super) fn of(home: &Path) -> Result<Nvrtc, String> {
        let there = |folders: &[&str], names: &[&str]| {
            let mut files = folders.iter().flat_map(|folder| names.iter().map(move |name| home.join(folder).join(name)));
            files.find(|file| file.is_file())
        };
        let file = there(&LIBRARIES, &NAMES).ok_or_else(|| format!("{} has no NVRTC", home.display()))?;
        let header = there(&HEADERS, &["cuda_fp16.h"]).ok_or_else(|| format!("{} has no headers of CUDA", home.display()))?;
        // SAFETY: whoever builds named the folder, or installed it.
        let library = unsafe { Library::new(&file) }.map_err(|e| format!("{} cannot be loaded: {e}", file.display()))?;
        let (mut major, mut minor) = (0, 0);
        {
            // SAFETY: the signature of NVRTC's header.
            let version: Symbol<'_, unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int> =
                unsafe { library.get(b"nvrtcVersion\0") }.map_err(|e| e.to_string())?;
            // SAFETY: writes the two numbers.
            if unsafe { version(&raw mut major, &raw mut minor) } != DONE {
                return Err(format!("{} does not tell its version", file.display()));
            }
        }
        let headers = header.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Nvrtc { library, headers, version: major * 1000 + minor * 10 })
    }

    /// As drivers count: 12090 for 12.9.
    pub(super) fn version(&self) -> i32 {
        self.version
    }

    /// Compute capabilities that it compiles for: 86 for 8.6.
    pub(super) fn cards(&self) -> Vec<u32> {
        let mut count = 0;
        // SAFETY: the signatures of NVRTC's header; writes as many numbers as it said that there are.
        unsafe {
            let counted: Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> = self.function("nvrtcGetNumSupportedArchs");
            let listed: Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> = self.function("nvrtcGetSupportedArchs");
            if counted(&raw mut count) != DONE {
                return Vec::new();
            }
            let mut cards = vec![0; usize::try_from(count).unwrap_or(0)];
            if listed(cards.as_mut_ptr()) != DONE {
                return Vec::new();
            }
            cards.into_iter().filter_map(|card| u32::try_from(card).ok()).collect()
        }
    }

    /// Compiles a file, which finds CUDA's headers and what lies beside it. The code and what the compiler said; or only that.
    pub(super) fn compile(&self, file: &Path, options: &[String], code: Code) -> Result<(Vec<u8>, String), String> {
        let text = |text: &str| CString::new(text).map_err(|e| e.to_string());
        let source = text(&fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?)?;
        let name = text(&file.display().to_string())?;
        let beside = file.parent().unwrap_or(Path::new("."));
        let folders = [beside, &self.headers].map(|folder| format!("--include-path={}", folder.display()));
        let options = options.iter().chain(&folders).map(|option| text(option)).collect::<Result<Vec<CString>, String>>()?;
        let told: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = c_int::try_from(told.len()).map_err(|e| e.to_string())?;
        let mut program: Program = ptr::null_mut();
        // SAFETY: the signatures of NVRTC's header. All texts live through the calls, no header is given by itself, and the
        // program is ended below, whatever becomes of it.
        unsafe {
            type Create = unsafe extern "C" fn(
                *mut Program,
                *const c_char,
                *const c_char,
                c_int,
                *const *const c_char,
                *const *const c_char,
            ) -> c_int;
            let create: Symbol<'_, Create> = self.function("nvrtcCreateProgram");
            let compile: Symbol<'_, unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int> =
                self.function("nvrtcCompileProgram");
            let destroy: Symbol<'_, unsafe extern "C" fn(*mut Program) -> c_int> = self.function("nvrtcDestroyProgram");
            let begun = create(&raw mut program, source.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null());
            if begun != DONE {
                return Err(format!("NVRTC takes no program ({begun})"));
            }
            let compiled = compile(program, count, told.as_ptr());
            let said = self.told(program, "nvrtcGetProgramLog");
            let made = match code {
                _ if compiled != DONE => Vec::new(),
                Code::Machine => self.told(program, "nvrtcGetCUBIN"),
                Code::Assembly => self.told(program, "nvrtcGetPTX"),
            };
            destroy(&raw mut program);
            let said = String::from_utf8_lossy(&said).trim_end_matches('\0').to_owned();
            if made.is_empty() { Err(format!("NVRTC says {compiled}: {said}")) } else { Ok((made, said)) }
        }
    }

    /// What one of the pairs of functions gives that tell a size and then as many bytes; nothing where they fail.
    ///
    /// # Safety
    /// The program is alive, and both functions are of this kind.
    unsafe fn told(&self, program: Program, what: &str) -> Vec<u8> {
        let mut bytes = 0;
        // SAFETY: as above; room for as many bytes as it said.
        unsafe {
            let size: Symbol<'_, unsafe extern "C" fn(Program, *mut usize) -> c_int> = self.function(&format!("{what}Size"));
            let get: Symbol<'_, unsafe extern "C" fn(Program, *mut c_char) -> c_int> = self.function(what);
            if size(program, &raw mut bytes) != DONE {
                return Vec::new();
            }
            let mut told = vec![0u8; bytes];
            if get(program, told.as_mut_ptr().cast()) == DONE { told } else { Vec::new() }
        }
    }

    /// # Safety
    /// NVRTC's header gives the function this type.
    unsafe fn function<T>(&self, name: &str) -> Symbol<'_, T> {
        // SAFETY: as above.
        unsafe { self.library.get(name.as_bytes()) }.unwrap_or_else(|e| panic!("NVRTC lacks {name}: {e}"))
    }
}
