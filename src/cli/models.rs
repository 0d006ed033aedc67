//! `easel models`: what can be loaded, and bringing and removing it. Knows the models folder; what a model is, the
//! engine's library tells.

mod download;
mod work;

use super::{Exit, Failure, Shared, say};
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Subcommand;
use engine::library::{Library, Source, check_file};
use protocol::model::{is_plain_name, is_weights_name};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Flags of `models`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// List the models, and the files that cannot be loaded
    List,
    /// Copy a model into the models folder, or download it; a broken download goes on where it stopped
    Add {
        /// A .safetensors file, a diffusers folder, or an http(s) address of a .safetensors file
        from: String,
        /// Name of the file in the models folder [default: as it is called]
        #[arg(long)]
        name: Option<String>,
        /// The SHA-256 that a download must have
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
    },
    /// Remove a model and its files
    Rm {
        /// Its id, as the list has it
        id: String,
    },
    /// Do one task for a running panel (started by it)
    #[command(hide = true)]
    Work,
}

pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    if let What::Work = args.what {
        // First of all, before anything else opens a file.
        let stream = engine::process::inherited_stream().context("this is started by `easel serve`")?;
        return work::run(&shared.load()?.data.join("models"), stream);
    }
    let models = shared.load()?.data.join("models");
    match args.what {
        What::List => list(&models),
        What::Add { from, name, sha256 } => add(&models, &from, name.as_deref(), sha256.as_deref())?,
        What::Rm { id } => {
            remove(&models, &id).map_err(|why| Failure { exit: Exit::Refused, why })?;
            say(format_args!("removed {id}"));
        }
        What::Work => unreachable!("done above"),
    }
    Ok(Exit::Done)
}

fn list(models: &Path) {
    let library = Library::scan(models);
    for entry in &library.entries {
        let info = &entry.info;
        let size = engine::memory::words(info.bytes);
        let place = match &entry.source {
            Source::Embedded => "inside the program".to_owned(),
            Source::Folder(path) | Source::File(path) => path.strip_prefix(models).unwrap_or(path).display().to_string(),
        };
        say(format_args!("{:<28} {:<14} {:>9}  {} × {}  {place}", info.id, info.family, size, info.native.0, info.native.1));
    }
    if library.entries.is_empty() {
        say(format_args!("No models. `easel models add FILE` brings one, or put it below {}.", models.display()));
    }
    for (path, why) in &library.refused {
        say(format_args!("cannot be loaded: {path}: {why}"));
    }
}

fn add(models: &Path, from: &str, name: Option<&str>, sha256: Option<&str>) -> anyhow::Result<()> {
    fs::create_dir_all(models).with_context(|| format!("making {}", models.display()))?;
    if from.starts_with("http://") || from.starts_with("https://") {
        let added = download::run(models, from, name, sha256)?;
        let (id, family) = added_as(models, &added)?;
        say(format_args!("added {id} ({family})"));
        return Ok(());
    }
    ensure!(sha256.is_none(), "--sha256 is for downloads");
    let from = Path::new(from);
    let own_name = from.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let target = target(models, name.unwrap_or(&own_name), from.is_dir())?;
    let part = part_of(&target);
    let copied = if from.is_dir() { copy_folder(from, &part) } else { copy_file(from, &part) };
    let checked = copied.and_then(|()| check(&part)).and_then(|()| publish(&part, &target));
    if let Err(why) = checked {
        discard(&part);
        return Err(why);
    }
    let (id, family) = added_as(models, &target)?;
    say(format_args!("added {id} ({family})"));
    Ok(())
}

/// Under which id the new model is found, and its family.
fn added_as(models: &Path, target: &Path) -> anyhow::Result<(String, String)> {
    let library = Library::scan(models);
    let is_it = |source: &Source| matches!(source, Source::Folder(p) | Source::File(p) if p == target);
    let entry = library.entries.iter().find(|e| is_it(&e.source)).context("the new model is not found again")?;
    Ok((entry.info.id.clone(), entry.info.family.clone()))
}

/// Where a model of this name goes. A name is one plain component: never a path, never hidden.
fn target(models: &Path, name: &str, is_folder: bool) -> anyhow::Result<PathBuf> {
    ensure!(is_plain_name(name), "\"{name}\" is no name for a model; give one of letters, digits and . _ - ( ) +");
    ensure!(is_folder || is_weights_name(name), "{name} does not end in .safetensors; only such files are read");
    let target = models.join(name);
    ensure!(!target.exists(), "{} is there already; remove it first, or give another name", target.display());
    Ok(target)
}

/// The name under which a model is written until it is whole: hidden, so that no scan takes it for one.
fn part_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.part"))
}

/// By the header, before it gets its name.
fn check(part: &Path) -> anyhow::Result<()> {
    if !part.is_dir() {
        return check_file(part).map(drop).map_err(|p| anyhow!("this is no model: {}", p.what));
    }
    ensure!(part.join("model_index.json").is_file(), "the folder has no model_index.json, so it is no diffusers model");
    check_folder(part)
}

fn check_folder(part: &Path) -> anyhow::Result<()> {
    engine::library::check_folder(part).map(drop).map_err(|p| anyhow!("this is no model: {}", p.what))
}

/// Gives a whole model its name, for good.
fn publish(part: &Path, target: &Path) -> anyhow::Result<()> {
    fs::rename(part, target).with_context(|| format!("naming {}", target.display()))?;
    let folder = target.parent().context("a model lies in a folder")?;
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn discard(part: &Path) {
    let _ = if part.is_dir() { fs::remove_dir_all(part) } else { fs::remove_file(part) };
}

fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(fs::File::open(to)?.sync_all()?)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() || entry.path().is_file() {
            // A link is followed: caches of downloads keep their files behind links.
            copy_file(&entry.path(), &target)?;
        }
    }
    Ok(fs::File::open(to)?.sync_all()?)
}

/// Removes a model; its place below `models/`.
fn remove(models: &Path, id: &str) -> anyhow::Result<String> {
    let library = Library::scan(models);
    let entry = library.get(id).with_context(|| format!("there is no model \"{id}\""))?;
    match &entry.source {
        Source::Embedded => bail!("{id} is part of the program and cannot be removed"),
        Source::Folder(path) => {
            // Hidden first, so that no scan meets half a model.
            let part = part_of(path);
            fs::rename(path, &part)?;
            fs::remove_dir_all(&part)?;
        }
        Source::File(path) => fs::remove_file(path)?,
    }
    Ok(entry.info.place.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        let models = Path::new("/nowhere/models");
        for name in ["", ".", "..", "../x.safetensors", "a/b.safetensors", ".hidden.safetensors", "a\0.safetensors", "x.ckpt"] {
            assert!(target(models, name, false).is_err(), "{name:?}");
        }
        assert_eq!(target(models, "My Model v1.0.safetensors", false).unwrap(), models.join("My Model v1.0.safetensors"));
        assert_eq!(target(models, "folder", true).unwrap(), models.join("folder"));
    }
}
