//! What was made elsewhere and is taken into a gallery: by the same road as the studio's own pictures, with what its file says of
//! itself. A file is written as it comes and judged by what is in it; whatever its size, none is held in memory but pictures,
//! which are decoded. Knows no tool's API.

use super::{Artifacts, InComfyUi, Incoming, Made, is_full, made::Content};
use crate::beneath::Beneath;
use crate::gate::{Coming, Found, Gallery, Taken};
use crate::users::ProfileId;
use anyhow::Context;
use futures_util::StreamExt as _;
use media::{Format, Kind, kind::HEAD};
use protocol::JobId;
use std::{io, pin::Pin};
use tokio::io::AsyncWriteExt as _;

/// What the id of a prompt is called among jobs, so that none is taken for one of the studio's own.
const PROMPT: &str = "comfyui-";
/// Most bytes of a video or a sound.
const PLAYED_MAX: u64 = 32 << 30;

/// Why something is not taken in, where that is nobody's mistake.
#[derive(Debug, thiserror::Error)]
enum Not {
    /// It is none of what a gallery shows.
    #[error("it is no picture, video or sound that a gallery shows")]
    Shown,
    /// Its pieces ended early.
    #[error("it broke off on its way: {0}")]
    Whole(io::Error),
}

impl Gallery for Artifacts {
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>> {
        Box::pin(async move {
            let (profile, prompt) = (found.profile.clone(), found.prompt.clone());
            let Err(e) = self.take_in(found).await else { return Taken::Settled };
            // It stays where ComfyUI has put it.
            match e.downcast_ref() {
                Some(Not::Shown) => {
                    tracing::debug!(%profile, prompt, "a file of ComfyUI's is nothing for the gallery");
                    return Taken::Settled;
                }
                Some(Not::Whole(_)) => {}
                None if is_full(&e) => {
                    tracing::warn!(%profile, prompt, "a file of ComfyUI's waits until there is room for it: {e:#}");
                    return Taken::NoRoom;
                }
                None => {}
            }
            tracing::warn!(%profile, prompt, "a file of ComfyUI's was not taken into the gallery: {e:#}");
            if e.is::<Not>() { Taken::Unread } else { Taken::Settled }
        })
    }
}

impl Artifacts {
    async fn take_in(&self, found: Found) -> anyhow::Result<()> {
        let Found { profile, prompt, index, file } = found;
        let job = JobId(format!("{PROMPT}{prompt}"));
        if self.has(&job, index).await? {
            return Ok(());
        }
        // Beside the months, under a name by which what a crash leaves is known.
        let path = format!("{profile}/.{}.tmp", ulid::Ulid::generate());
        let taken = self.take_at(&path, &profile, &job, index, file).await;
        let outputs = self.outputs.clone();
        // Where it was taken in there is nothing of that name any more. What cannot be removed now is at the next start.
        let _ = tokio::task::spawn_blocking(move || outputs.remove(&path)).await;
        taken
    }

    /// By way of a file at this path.
    async fn take_at(&self, path: &str, profile: &ProfileId, job: &JobId, index: u32, file: Coming) -> anyhow::Result<()> {
        let format = self.write_down(path, profile, file).await?;
        let (outputs, path) = (self.outputs.clone(), path.to_owned());
        let look = move || look(&outputs, path, format, index);
        let picture = tokio::task::spawn_blocking(look).await?.context("reading it")?;
        self.put(profile, job, picture).await
    }

    /// Writes a file as it comes, durably; what it is by its first bytes.
    async fn write_down(&self, path: &str, profile: &ProfileId, file: Coming) -> anyhow::Result<Format> {
        let Coming { bytes, mut pieces } = file;
        let mut head = Vec::new();
        while head.len() < HEAD
            && let Some(piece) = pieces.next().await
        {
            head.extend_from_slice(&piece.map_err(Not::Whole)?);
        }
        let format = Format::of(&head).ok_or(Not::Shown)?;
        let most = if format.kind == Kind::Picture { media::decode::MAX_BYTES as u64 } else { PLAYED_MAX };
        let (outputs, path, folder) = (self.outputs.clone(), path.to_owned(), profile.to_string());
        let open = move || {
            outputs.folder(&folder)?;
            // One that is begun and does not fit would take the last of the room from whoever makes pictures.
            match bytes {
                Some(bytes) if bytes > outputs.room()? => Err(io::ErrorKind::StorageFull.into()),
                _ => outputs.writable(&path),
            }
        };
        let too_long = |bytes: u64| -> anyhow::Result<()> {
            anyhow::ensure!(bytes <= most, "{bytes} bytes are over the limit of {most}");
            Ok(())
        };
        too_long(bytes.unwrap_or(0))?;
        let mut file = tokio::fs::File::from_std(tokio::task::spawn_blocking(open).await?.context("writing it")?);
        let mut written = head.len() as u64;
        file.write_all(&head).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(Not::Whole)?;
            written += piece.len() as u64;
            too_long(written)?;
            file.write_all(&piece).await?;
        }
        // What the last write came to is told by a flush alone.
        file.flush().await?;
        file.sync_all().await?;
        Ok(format)
    }
}

/// What a file says of itself. Blocks for as long as it takes to decode a picture.
fn look(outputs: &Beneath, path: String, format: Format, index: u32) -> anyhow::Result<Incoming> {
    let bytes = outputs.file(&path)?.metadata()?.len();
    let (comfy, size, thumb, mut made) = if format.kind == Kind::Picture {
        let file = outputs.read(&path, bytes)?;
        let probe = media::decode::probe(&file)?;
        let thumb = media::thumb::thumbnail(&media::decode::rgb(&file)?)?;
        let made = InComfyUi { animated: media::kind::moves(&file), ..InComfyUi::default() };
        (media::comfy::read(&file), (probe.width, probe.height), Some(thumb), made)
    } else {
        let played = media::played::look(io::BufReader::new(outputs.file(&path)?), format)?;
        let made = InComfyUi { duration_ms: played.duration_ms, ..InComfyUi::default() };
        (played.comfy, (played.width, played.height), None, made)
    };
    made.workflow = comfy.as_ref().is_some_and(|comfy| comfy.workflow.is_some());
    made.prompt = comfy.map(|comfy| comfy.prompt).unwrap_or_default();
    let ((width, height), mime, extension) = (size, format.mime.to_owned(), format.extension);
    Ok(Incoming {
        index,
        width,
        height,
        mime,
        extension,
        bytes,
        file: Content::Written(path),
        thumb,
        made: Made::InComfyUi(made),
    })
}
