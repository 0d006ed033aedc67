//! Pictures that were made elsewhere and are taken into a gallery: by the same road as the studio's own, with what their file
//! says of itself. Knows no tool's API.

use super::{Artifacts, InComfyUi, Incoming, Made, is_full};
use crate::gate::{Found, Gallery, Taken};
use anyhow::Context;
use protocol::JobId;
use std::pin::Pin;

/// What the id of a prompt is called among jobs, so that none is taken for one of the studio's own.
const PROMPT: &str = "comfyui-";

impl Gallery for Artifacts {
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>> {
        Box::pin(async move {
            let (profile, prompt) = (found.profile.clone(), found.prompt.clone());
            let Err(e) = self.take_in(found).await else { return Taken::Settled };
            // It stays where ComfyUI has put it.
            tracing::warn!(%profile, prompt, "a picture of ComfyUI's was not taken into the gallery: {e:#}");
            if is_full(&e) { Taken::NoRoom } else { Taken::Settled }
        })
    }
}

impl Artifacts {
    async fn take_in(&self, found: Found) -> anyhow::Result<()> {
        let Found { profile, prompt, index, file } = found;
        let look = move || look(index, file.to_vec());
        let picture = tokio::task::spawn_blocking(look).await?.context("reading it")?;
        self.put(&profile, &JobId(format!("{PROMPT}{prompt}")), picture).await
    }
}

/// What a file says of itself. Blocks for as long as it takes to decode it.
fn look(index: u32, file: Vec<u8>) -> anyhow::Result<Incoming> {
    let probe = media::decode::probe(&file)?;
    let extension = match probe.mime {
        "image/png" => "png",
        "image/webp" => "webp",
        "image/jpeg" => "jpg",
        other => anyhow::bail!("a gallery shows no {other}"),
    };
    let thumb = media::thumb::thumbnail(&media::decode::rgb(&file)?)?;
    let comfy = media::comfy::read(&file);
    let workflow = comfy.as_ref().is_some_and(|comfy| comfy.workflow.is_some());
    let made = Made::InComfyUi(InComfyUi { prompt: comfy.map(|comfy| comfy.prompt).unwrap_or_default(), workflow });
    let (width, height, mime) = (probe.width, probe.height, probe.mime.to_owned());
    Ok(Incoming { index, width, height, mime, extension, file, thumb, made })
}
