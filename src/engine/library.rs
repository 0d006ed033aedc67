//! What can be loaded now: the embedded model and everything below `models/` that its header says is one. Knows
//! files and names; loads no weights and trusts no ending.

mod card;

use crate::{
    EngineError, embedded,
    registry::{self, Family},
    weights::{self, Tensors, folder::Folder},
};
use protocol::{ModelInfo, Problem, model::id_of_name};
use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Folders below `models/` that are looked into.
const MAX_DEPTH: usize = 8;
/// Files and folders that a scan looks at: beyond that somebody keeps something else there.
const MAX_ENTRIES: usize = 50_000;

/// Where a model's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A diffusers folder.
    Folder(PathBuf),
    /// A single `.safetensors` file with all networks.
    File(PathBuf),
    /// Inside the program.
    Embedded,
}

/// One model.
#[derive(Clone, Debug)]
pub struct Entry {
    /// For forms and checks.
    pub info: ModelInfo,
    /// Its files.
    pub source: Source,
    /// Its row of the registry.
    pub family: &'static Family,
    /// When its files were last changed, to notice that a loaded model is an old one.
    pub changed: Option<SystemTime>,
}

/// Everything that can be loaded, and what was found but cannot.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// The models: the embedded one first, then by path.
    pub entries: Vec<Entry>,
    /// Path below `models/`, reason.
    pub refused: Vec<(String, String)>,
}

impl Library {
    /// Looks at the embedded model and at everything below `models`, which need not exist. Symbolic links are not followed on
    /// the way to a model; the files of a model's own folder may be some.
    pub fn scan(models: &Path) -> Library {
        let mut scan = Scan::default();
        if embedded::is_there() {
            scan.take(Source::Embedded, embedded::ID, "");
        }
        scan.folder(models, models, 0);
        scan.found
    }

    /// The model of this id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.info.id == id)
    }

    /// What is told to forms.
    pub fn infos(&self) -> Vec<ModelInfo> {
        self.entries.iter().map(|e| e.info.clone()).collect()
    }
}

/// Whether a file on its own is a model, and of which family. For a download that has not got its name yet.
///
/// # Errors
/// A [`Problem`] that says what the file is instead.
pub fn check_file(path: &Path) -> Result<&'static Family, Problem> {
    let tensors = weights::safetensors::open(path).map_err(in_words)?;
    registry::identify(&tensors).map_err(Problem::new)
}

/// The same of a diffusers folder.
///
/// # Errors
/// A [`Problem`] that says what is missing, or what the folder is instead.
pub fn check_folder(path: &Path) -> Result<&'static Family, Problem> {
    let tensors = denoiser(&Source::Folder(path.to_path_buf())).map_err(in_words)?;
    registry::identify(&tensors).map_err(Problem::new)
}

/// A number that changes when anything below `models` does: names, sizes, times. Reads no file.
pub fn fingerprint(models: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut folders = vec![(models.to_path_buf(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut entries: Vec<_> = entries.flatten().map(|e| e.path()).collect();
        entries.sort();
        for path in entries {
            seen += 1;
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            (&path, meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut hasher);
            if meta.is_dir() && depth < MAX_DEPTH && seen < MAX_ENTRIES {
                folders.push((path, depth + 1));
            }
        }
    }
    hasher.finish()
}

/// A scan in progress.
#[derive(Default)]
struct Scan {
    found: Library,
    seen: usize,
    /// Device and inode of every file taken, so that a hard link is not a second model.
    files: BTreeSet<(u64, u64)>,
}

impl Scan {
    fn folder(&mut self, root: &Path, at: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(at) else { return };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                return;
            }
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let below = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            if kind.is_symlink() {
                self.refuse(&below, "A symbolic link, which is not followed; put the file itself here.");
            } else if kind.is_file() {
                self.file(path, &name, &below);
            } else if kind.is_dir() && path.join("model_index.json").is_file() {
                self.take(Source::Folder(path), &name, &below);
            } else if kind.is_dir() && depth < MAX_DEPTH {
                self.folder(root, &path, depth + 1);
            }
        }
    }

    /// A file by its ending: what was meant as a model is taken or refused, anything else is nobody's business.
    fn file(&mut self, path: PathBuf, name: &str, below: &str) {
        let ending = name.rsplit_once('.').map_or("", |(_, e)| e).to_ascii_lowercase();
        match ending.as_str() {
            "safetensors" => {
                let identity = fs::metadata(&path).map(|m| (m.dev(), m.ino()));
                if identity.is_ok_and(|id| self.files.insert(id)) {
                    self.take(Source::File(path), name, below);
                }
            }
            "ckpt" | "pt" | "pth" | "bin" => {
                self.refuse(below, "A pickle checkpoint, which can run programs and is not read; convert it to safetensors.");
            }
            "gguf" => self.refuse(below, "GGUF files are not read yet; fetch the safetensors file instead."),
            _ => {}
        }
    }

    fn take(&mut self, source: Source, name: &str, below: &str) {
        match describe(&source, name) {
            Ok((mut info, family)) => {
                info.id = self.free_id(&info.id, below);
                info.place = below.to_owned();
                let changed = changed(&source);
                self.found.entries.push(Entry { info, source, family, changed });
            }
            Err(why) => self.refuse(if below.is_empty() { name } else { below }, &why.what),
        }
    }

    /// `id`, or where that is taken, with the folder's name in front, or a number behind it.
    fn free_id(&self, id: &str, below: &str) -> String {
        let parent = Path::new(below).parent().map(|p| id_of_name(&p.display().to_string())).unwrap_or_default();
        let with_parent = (!parent.is_empty()).then(|| format!("{parent}-{id}"));
        let numbered = (2..).map(|n| format!("{id}-{n}"));
        let id = if id.is_empty() { "model" } else { id };
        std::iter::once(id.to_owned())
            .chain(with_parent)
            .chain(numbered)
            .find(|id| self.found.get(id).is_none())
            .expect("there are more numbers than models")
    }

    fn refuse(&mut self, below: &str, why: &str) {
        self.found.refused.push((below.to_owned(), why.to_owned()));
    }
}

/// Card and family of a model, from its headers and configuration.
fn describe(source: &Source, name: &str) -> Result<(ModelInfo, &'static Family), Problem> {
    let tensors = denoiser(source).map_err(in_words)?;
    let family = registry::identify(&tensors).map_err(Problem::new)?;
    let card = card::build(source, family, &tensors, name).map_err(in_words)?;
    Ok((card, family))
}

/// The tensors by which a family is told.
fn denoiser(source: &Source) -> Result<Tensors, EngineError> {
    match folder(source) {
        Err(file) => weights::safetensors::open(file),
        Ok(folder) if folder.has("transformer/config.json") => folder.tensors("transformer"),
        Ok(folder) => folder.tensors("unet"),
    }
}

/// The files of a model in a folder's layout, or the one file that is all of it.
fn folder(source: &Source) -> Result<Folder, &Path> {
    match source {
        Source::Folder(dir) => Ok(Folder::Disk(dir.clone())),
        Source::Embedded => Ok(Folder::Static(embedded::file)),
        Source::File(path) => Err(path),
    }
}

/// A small file of a model in a folder's layout, by its path in it; `None` where there is none.
pub fn read_file(source: &Source, path: &str) -> Option<Vec<u8>> {
    folder(source).ok()?.bytes(path).ok().map(std::borrow::Cow::into_owned)
}

fn changed(source: &Source) -> Option<SystemTime> {
    let of = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    match source {
        Source::File(path) => of(path),
        Source::Folder(dir) => ["", "unet", "vae", "text_encoder", "scheduler"].iter().filter_map(|d| of(&dir.join(d))).max(),
        Source::Embedded => None,
    }
}

fn in_words(error: EngineError) -> Problem {
    error.problem().cloned().unwrap_or_else(|| Problem::new("The scan was broken off."))
}

#[cfg(test)]
#[path = "library/tests.rs"]
mod tests;
