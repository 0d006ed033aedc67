//! Getting an image from its registry, with progress, until it is here or nobody wants it any more.

use crate::{ContainerError, Engine, ImageId, ImageName, Layers, Login, Progress};
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt as _;
use std::{ops::ControlFlow, time::Duration};
use tokio::time::timeout;

/// An engine that tells nothing of a pull for so long hangs: registries that stall are given up by it sooner.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// An image that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// As it was asked for.
    pub name: ImageName,
    /// What it is.
    pub id: ImageId,
    /// What the registry calls it, to ask for this very one again; none where it never came from a registry.
    pub digest: Option<String>,
}

impl Engine {
    /// Pulls an image; tells of every change, and ends as soon as `told` says so. Dropped, it ends too.
    ///
    /// # Errors
    /// When there is no such image, it is not for everybody, it does not come whole, the disk is full, or it was cancelled.
    /// Layers that came whole stay and are not fetched again.
    pub async fn pull(
        &self,
        name: &ImageName,
        login: Option<&Login>,
        mut told: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Pulled, ContainerError> {
        let options = CreateImageOptions { from_image: Some(name.as_str().to_owned()), ..CreateImageOptions::default() };
        let mut lines = std::pin::pin!(self.0.docker.create_image(Some(options), None, login.map(Login::credentials)));
        let mut layers = Layers::default();
        let said = |e| ContainerError::of_image(name.as_str(), e);
        let silent = |_| ContainerError::NotPulled { image: name.to_string(), why: "the engine tells nothing any more".into() };
        while let Some(line) = timeout(SILENCE, lines.try_next()).await.map_err(silent)?.map_err(said)? {
            let (id, status) = (line.id.unwrap_or_default(), line.status.unwrap_or_default());
            let detail = line.progress_detail.unwrap_or_default();
            layers.hear(&id, &status, detail.current, detail.total);
            if told(layers.progress()).is_break() {
                // The engine stops when the connection ends.
                return Err(ContainerError::Cancelled);
            }
        }
        let pulled = self.pulled(name).await?;
        // Podman never says that a layer is unpacked.
        let _ = told(layers.all_done());
        Ok(pulled)
    }

    /// What came.
    async fn pulled(&self, name: &ImageName) -> Result<Pulled, ContainerError> {
        let image = self.0.docker.inspect_image(name.as_str()).await.map_err(|e| ContainerError::of_image(name.as_str(), e))?;
        let id = ImageId::parse(&image.id.unwrap_or_default())?;
        let digest = image.repo_digests.unwrap_or_default().into_iter().find(|digest| same_repository(digest, name));
        Ok(Pulled { name: name.clone(), id, digest })
    }
}

/// An image may be known under several names.
fn same_repository(digest: &str, name: &ImageName) -> bool {
    let repository = |text: &str| {
        let text = text.split('@').next().unwrap_or(text);
        let cut = text.rfind('/').map_or(0, |at| at + 1);
        let last = text[cut..].split(':').next().unwrap_or_default();
        format!("{}{last}", &text[..cut])
    };
    repository(digest) == repository(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_the_registry_that_was_asked() {
        let name = ImageName::parse("127.0.0.1:5000/a/b:1").unwrap();
        assert!(same_repository("127.0.0.1:5000/a/b@sha256:00", &name));
        assert!(!same_repository("127.0.0.1:5001/a/b@sha256:00", &name));
        assert!(same_repository("alpine@sha256:00", &ImageName::parse("alpine").unwrap()));
    }
}
