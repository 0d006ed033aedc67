//! Which vision model is asked: set by an admin, its key kept in the store and shown to nobody. Knows no request.

use super::protocol::Protocol;
use crate::{
    audit::{Audit, Deed, Kind},
    datasets::{DatasetError, Datasets},
    secrets::Secret,
    store::dataset_uploads as rows,
};
use serde::Serialize;

/// Longest address and model name, in characters.
const MOST: usize = 300;

/// A vision model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vision {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Where: the address in front of the protocol's own paths, without a slash at its end.
    pub base_url: String,
    /// Its name there.
    pub model: String,
    /// What opens it; may be empty, where a server of one's own asks for none.
    pub key: Secret,
}

/// A vision model as it is shown: without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = VisionModel)]
pub struct VisionView {
    /// anthropic, openai or gemini.
    pub protocol: &'static str,
    /// Where it is asked.
    pub base_url: String,
    /// Its name there.
    pub model: String,
    /// Whether a key is kept for it.
    pub has_key: bool,
}

impl From<&Vision> for VisionView {
    fn from(v: &Vision) -> VisionView {
        VisionView {
            protocol: v.protocol.name(),
            base_url: v.base_url.clone(),
            model: v.model.clone(),
            has_key: !v.key.expose().is_empty(),
        }
    }
}

impl Datasets {
    /// The vision model, where one is set up.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn vision(&self) -> Result<Option<Vision>, DatasetError> {
        Ok(self.0.store.read(|c| rows::vision(c)).await?)
    }

    /// Sets the vision model up. Without a key the present one stays, as long as it goes to the same server: nobody sends
    /// a key that another admin typed to an address of his own.
    ///
    /// # Errors
    /// [`DatasetError::Field`] for what cannot be taken, or when the store refuses.
    pub async fn set_vision(
        &self,
        by: &str,
        audit: &Audit,
        protocol: Protocol,
        base_url: &str,
        model: &str,
        key: Option<Secret>,
    ) -> Result<Vision, DatasetError> {
        let (base_url, model) = (base_url.trim().trim_end_matches('/'), model.trim());
        let base_url = if base_url.is_empty() { protocol.home() } else { base_url };
        let server = server_of(base_url)?;
        if model.is_empty() || model.chars().count() > MOST || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(DatasetError::Field("model", "It is the model's name, as the service writes it.".into()));
        }
        let sendable = |key: &Secret| key.expose().bytes().all(|b| b.is_ascii_graphic()) && key.expose().len() <= MOST;
        if !key.as_ref().is_none_or(sendable) {
            return Err(DatasetError::Field("key", "A key has no blanks and no letters beyond ASCII.".into()));
        }
        let before = self.vision().await?;
        let kept = before.filter(|v| server_of(&v.base_url).is_ok_and(|s| s == server)).map(|v| v.key);
        let key = key.or(kept).unwrap_or_else(|| Secret::new(""));
        let vision = Vision { protocol, base_url: base_url.to_owned(), model: model.to_owned(), key };
        let row = vision.clone();
        self.0.store.run(move |c| rows::put_vision(c, Some(&row))).await?;
        let deed = Deed::done(by, Kind::Model, format!("set the vision model: {} at {server}", vision.model));
        audit.write(deed).await?;
        Ok(vision)
    }

    /// Forgets the vision model and its key.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn forget_vision(&self, by: &str, audit: &Audit) -> Result<(), DatasetError> {
        self.0.store.run(|c| rows::put_vision(c, None)).await?;
        Ok(audit.write(Deed::done(by, Kind::Model, "forgot the vision model".to_owned())).await?)
    }
}

/// Scheme, host and port of an address that can be asked.
fn server_of(url: &str) -> Result<String, DatasetError> {
    let wrong = |why: &str| Err(DatasetError::Field("base_url", why.into()));
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else {
        return wrong("It is an http or https address.");
    };
    let host = &rest[..rest.find('/').unwrap_or(rest.len())];
    // What stands in an address may be logged on its way; a key has its own field.
    if url.contains(['?', '#', '@', '\\']) || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("It holds no user, password, question mark or blank; the key has its own field.");
    }
    if host.is_empty() || url.len() > MOST {
        return wrong("It is an http or https address.");
    }
    Ok(format!("{scheme}://{}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_by_their_server() {
        assert_eq!(server_of("https://API.example.org/v1").unwrap(), "https://api.example.org");
        assert_eq!(server_of("http://10.0.0.1:8000").unwrap(), "http://10.0.0.1:8000");
        for wrong in ["", "ftp://x", "https://", "https:///v1", "https://a@b/", "https://b/?key=1", "https://b/ c", "b.org"] {
            assert!(server_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_key() {
        let vision = Vision {
            protocol: Protocol::OpenAi,
            base_url: "https://x".into(),
            model: "m".into(),
            key: Secret::new("canary-key"),
        };
        assert!(!format!("{vision:?} {}", serde_json::to_string(&VisionView::from(&vision)).unwrap()).contains("canary"));
        assert!(VisionView::from(&vision).has_key);
    }
}
