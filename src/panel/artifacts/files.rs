//! Files of artifacts below `outputs/`: written, read, removed. Blocks for as long as the disk does; knows no row.

use super::{Artifact, Incoming, made::Content};
use crate::beneath::Beneath;
use media::{Format, Kind};
use std::{io, path::Path, time::SystemTime};

/// Folder of thumbnails, beside the pictures.
const THUMBS: &str = ".thumbs";
/// Most bytes of a thumbnail.
const THUMB_MAX: u64 = 4 << 20;

/// Puts file and thumbnail where they belong, or neither.
pub(super) fn write(outputs: &Beneath, a: &Artifact, picture: &Incoming) -> io::Result<()> {
    let (folder, name) = split(&a.path);
    if let Some(thumb) = &picture.thumb {
        write_thumb(outputs, a, thumb)?;
    }
    let written = match &picture.file {
        Content::Bytes(bytes) => outputs.write(&folder, &name, bytes),
        Content::Written(path) => outputs.adopt(path, &folder, &name),
    };
    written.inspect_err(|_| {
        let _ = outputs.remove(&thumb_path(a));
    })
}

fn write_thumb(outputs: &Beneath, a: &Artifact, thumb: &[u8]) -> io::Result<()> {
    let (folder, name) = split(&thumb_path(a));
    outputs.write(&folder, &name, thumb)
}

pub(super) fn remove(outputs: &Beneath, a: &Artifact) -> io::Result<()> {
    outputs.remove(&a.path).and_then(|()| outputs.remove(&thumb_path(a)))
}

/// The thumbnail, that of a picture made again where it is missing.
pub(super) fn thumb(outputs: &Beneath, a: &Artifact) -> anyhow::Result<Option<Vec<u8>>> {
    match outputs.read(&thumb_path(a), THUMB_MAX) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && a.kind() == Kind::Picture => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => return Ok(Some(result?)),
    }
    let thumb = media::thumb::thumbnail(&media::decode::rgb(&outputs.read(&a.path, a.bytes)?)?)?;
    // A full disk must not keep anybody from looking at pictures.
    let _ = write_thumb(outputs, a, &thumb);
    Ok(Some(thumb))
}

/// Keeps what was sent as a video's still, made anew from its pixels.
pub(super) fn keep_still(outputs: &Beneath, a: &Artifact, still: &[u8]) -> anyhow::Result<()> {
    let thumb = media::thumb::thumbnail(&media::decode::rgb(still)?)?;
    // Browsers keep it for good, so the first one counts.
    if outputs.file(&thumb_path(a)).is_err() {
        write_thumb(outputs, a, &thumb)?;
    }
    Ok(())
}

/// What ComfyUI wrote into the file.
pub(super) fn comfy(outputs: &Beneath, a: &Artifact) -> anyhow::Result<Option<media::comfy::Comfy>> {
    match Format::of_mime(&a.mime).filter(|format| format.kind != Kind::Picture) {
        Some(format) => Ok(media::played::look(outputs.file(&a.path)?, format)?.comfy),
        None => Ok(media::comfy::read(&outputs.read(&a.path, a.bytes)?)),
    }
}

fn split(path: &str) -> (String, String) {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    (folder.into(), name.into())
}

/// Where its thumbnail is, below `outputs/`.
fn thumb_path(a: &Artifact) -> String {
    let (folder, _) = split(&a.path);
    format!("{folder}/{THUMBS}/{}.webp", a.id)
}

fn is_older(entry: &std::fs::DirEntry, than: SystemTime) -> bool {
    entry.metadata().and_then(|m| m.modified()).is_ok_and(|written| written < than)
}

/// Removes temporary files from before `started`. Finished files without a row stay: they are somebody's
/// pictures, though no gallery shows them.
pub(super) fn remove_temporary(outputs: &Path, started: SystemTime) {
    let Ok(entries) = std::fs::read_dir(outputs) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove_temporary(&entry.path(), started),
            Ok(kind) if kind.is_file() && name.starts_with('.') && name.ends_with(".tmp") && is_older(&entry, started) => {
                let _ = std::fs::remove_file(entry.path());
            }
            _ => {}
        }
    }
}
