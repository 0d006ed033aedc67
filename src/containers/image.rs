//! Images: their names and ids as types, and which of a tool's are kept.

use crate::{ContainerError, Engine, labels::check_id};
use bollard::{
    auth::DockerCredentials,
    query_parameters::{RemoveImageOptions, TagImageOptions},
};
use std::fmt;

/// Longest name of an image.
const NAME_MAX: usize = 255;
/// Digits of an id that people are shown.
const SHORT: usize = 12;

/// Name and tag, or digest: `ghcr.io/owner/tool:1.2`, `tool@sha256:…`; with both, the digest says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName(String);

impl ImageName {
    /// A name. Without a tag it is `latest`, as everywhere.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<ImageName, ContainerError> {
        let wrong =
            || ContainerError::Wrong(format!("\"{}\" is no name of an image, such as owner/tool:1.2.", text.escape_debug()));
        let good = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        let parts = |text: &str| text.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '-', ':', '@']));
        if text.is_empty() || text.len() > NAME_MAX || !text.chars().all(good) || !parts(text) {
            return Err(wrong());
        }
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let last = name.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match name[last..].split_once(':') {
            None => (name, None),
            Some((base, tag)) => (&name[..last + base.len()], Some(tag)),
        };
        let empty = repository.is_empty() || repository.ends_with('/');
        if empty || tag.is_some_and(|tag| tag.is_empty() || tag.contains(':')) {
            return Err(wrong());
        }
        Ok(ImageName(match digest {
            // With a digest, a tag is a note for people, and not every engine finds the two together.
            Some(digest) => format!("{repository}@{}", ImageId::parse(digest).map_err(|_| wrong())?.as_str()),
            None => format!("{repository}:{}", tag.unwrap_or("latest")),
        }))
    }

    /// Whole, with its tag or digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an image is: `sha256:` and 64 hexadecimal digits. It never means another image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageId(String);

impl ImageId {
    /// An id.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<ImageId, ContainerError> {
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        match hex.is_some_and(|hex| hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))) {
            true => Ok(ImageId(text.to_owned())),
            false => Err(ContainerError::Wrong(format!("\"{}\" is no id of an image.", text.escape_debug()))),
        }
    }

    /// In an engine's form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its beginning, as engines' own programs show it to people.
    pub fn short(&self) -> String {
        self.0.trim_start_matches("sha256:").chars().take(SHORT).collect()
    }
}

/// Who asks a registry.
#[derive(Clone)]
pub struct Login {
    /// User.
    pub user: String,
    /// Password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Login {
    pub(crate) fn credentials(&self) -> DockerCredentials {
        let (username, password) = (Some(self.user.clone()), Some(self.password.clone()));
        DockerCredentials { username, password, ..DockerCredentials::default() }
    }
}

/// Which of a tool's images. Kept under a name of this studio, so that clearing up an engine does not take them, unless it is told to
/// take all that no container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptImage {
    /// What it runs from.
    Current,
    /// What it ran from before, to go back to.
    Former,
}

impl KeptImage {
    fn tag(self) -> &'static str {
        match self {
            KeptImage::Current => "current",
            KeptImage::Former => "former",
        }
    }
}

impl Engine {
    /// The id of an image that is here. None: it is not.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn image(&self, name: &str) -> Result<Option<ImageId>, ContainerError> {
        match self.0.docker.inspect_image(name).await {
            Ok(image) => image.id.as_deref().map(ImageId::parse).transpose(),
            Err(e) => match ContainerError::of_image(name, e) {
                ContainerError::NoImage { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    /// The image that a tool runs from, or ran from before.
    ///
    /// # Errors
    /// When the tool's id is none, or the engine does not answer.
    pub async fn kept(&self, tool: &str, which: KeptImage) -> Result<Option<ImageId>, ContainerError> {
        check_id("tool", tool)?;
        self.image(&format!("{}:{}", self.0.studio.repository(tool), which.tag())).await
    }

    /// A tool runs from this image from now on; what it ran from is the former one, and what was that is removed: such images have
    /// many GB.
    ///
    /// # Errors
    /// When the image is not here, or the engine does not answer.
    pub async fn keep(&self, tool: &str, image: &ImageId) -> Result<(), ContainerError> {
        let Some(former) = self.kept(tool, KeptImage::Current).await?.filter(|current| current != image) else {
            return self.tag(tool, image, KeptImage::Current).await;
        };
        let oldest = self.kept(tool, KeptImage::Former).await?;
        self.tag(tool, &former, KeptImage::Former).await?;
        self.tag(tool, image, KeptImage::Current).await?;
        if let Some(oldest) = oldest.filter(|oldest| *oldest != former && oldest != image) {
            self.let_go(tool, &oldest).await;
        }
        Ok(())
    }

    /// Removes an image that this studio has kept and needs no more. It stays where anybody else uses it, and where it has a name and
    /// came from no registry: whoever made it has no other copy.
    async fn let_go(&self, tool: &str, image: &ImageId) {
        let Ok(told) = self.0.docker.inspect_image(image.as_str()).await else { return };
        let has = |names: Option<Vec<String>>| names.is_some_and(|names| !names.is_empty());
        if has(told.repo_tags) && !has(told.repo_digests) {
            return;
        }
        match self.0.docker.remove_image(image.as_str(), None::<RemoveImageOptions>, None).await {
            Ok(_) => tracing::info!(tool, image = image.short(), "an image from before the former one is removed"),
            // Another name, or a container.
            Err(e) => tracing::info!(tool, image = image.short(), "an image from before the former one stays: {e}"),
        }
    }

    async fn tag(&self, tool: &str, image: &ImageId, which: KeptImage) -> Result<(), ContainerError> {
        let options = TagImageOptions { repo: Some(self.0.studio.repository(tool)), tag: Some(which.tag().into()) };
        self.0.docker.tag_image(image.as_str(), Some(options)).await.map_err(|e| ContainerError::of_image(image.as_str(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_refused() {
        let whole = |text: &str| ImageName::parse(text).map(|name| name.to_string()).ok();
        assert_eq!(whole("alpine").as_deref(), Some("alpine:latest"));
        assert_eq!(whole("127.0.0.1:5000/a/b").as_deref(), Some("127.0.0.1:5000/a/b:latest"));
        assert_eq!(whole("ghcr.io/Owner/tool:1.2").as_deref(), Some("ghcr.io/Owner/tool:1.2"));
        let pinned = format!("10.0.0.1:5000/tool@sha256:{}", "0".repeat(64));
        assert_eq!(whole(&pinned).as_deref(), Some(pinned.as_str()));
        assert_eq!(whole(&pinned.replace('@', ":1.2@")), Some(pinned));
        for text in ["", "a b", "a?x=1", "../a", "a//b", "a:", ":a", "a:b:c", "a@sha256:1", "/a", "a/", "ä", "a#b", "a%2f"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let login = Login { user: "zoe".into(), password: "canary".into() };
        assert!(!format!("{login:?}").contains("canary"));
    }
}
