//! From a draft to a recipe: model, limits, pictures that must be there. Knows no queue.

use super::{artifacts::gone, upload_error};
use crate::{App, engine_client::EngineStatus, error::AppError, users::ProfileId};
use media::Kind;
use protocol::{Draft, ImageRef, ModelInfo, Recipe, draft::MAX_SEED};

/// The model of that id, or the one taken where none is named: the embedded one, else the first.
///
/// # Errors
/// [`AppError::Invalid`] with the names that exist; [`AppError::Unavailable`] before the engine has told any.
pub(super) fn model(app: &App, id: Option<&str>) -> Result<ModelInfo, AppError> {
    let models = app.engines.models();
    if models.is_empty() {
        app.engines.scan();
        let words = match app.engines.view().status {
            EngineStatus::Failed { why } => format!("The engine {why} and cannot run."),
            EngineStatus::Ready => "There is no model yet.".into(),
            _ => "The engine is starting. Try again in a moment.".into(),
        };
        return Err(AppError::Unavailable(words));
    }
    let found = match id {
        Some(id) => models.iter().find(|m| m.id == id),
        None => models.iter().find(|m| m.embedded).or(models.first()),
    };
    found.cloned().ok_or_else(|| {
        // Perhaps it was put into the folder a moment ago: then the next request finds it.
        app.engines.scan();
        let names = models.iter().map(|m| m.id.as_str()).collect::<Vec<_>>().join(", ");
        AppError::field("model", format!("\"{}\" is not one of {names}.", id.unwrap_or_default()))
    })
}

/// The recipe that a draft means, its pictures durable: one of the gallery is kept as an upload besides, so that
/// the recipe works after it is deleted.
///
/// # Errors
/// [`AppError::Invalid`] with every field that cannot be taken; as [`model`].
pub(super) async fn resolve(app: &App, profile: &ProfileId, draft: Draft) -> Result<Recipe, AppError> {
    let mut recipe = without_looking(app, draft)?;
    for (field, image) in [("image", &mut recipe.image), ("mask", &mut recipe.mask)] {
        if let Some(image) = image {
            *image = ImageRef::Upload(kept(app, profile, field, image).await?);
        }
    }
    Ok(recipe)
}

/// The same, whether or not its pictures are there: for estimates, while a picture is still on its way.
pub(super) fn without_looking(app: &App, draft: Draft) -> Result<Recipe, AppError> {
    let model = model(app, draft.model.as_deref())?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("no random numbers: {e}"))?;
    // A seed that people can read aloud; whoever wants a larger one types it.
    draft.resolve(&model, u64::from_le_bytes(random) & MAX_SEED & u64::from(u32::MAX)).map_err(AppError::Invalid)
}

/// The SHA-256 of a picture's upload. Somebody else's picture is as absent as one that never was.
async fn kept(app: &App, profile: &ProfileId, field: &str, image: &ImageRef) -> Result<String, AppError> {
    let found = match image {
        ImageRef::Upload(sha256) => app.uploads.get(profile, sha256).await?.map(|upload| upload.sha256),
        ImageRef::Artifact(id) => match app.artifacts.get(profile, id).await? {
            Some(artifact) if artifact.kind() != Kind::Picture => {
                return Err(AppError::field(
                    field,
                    format!("A {} cannot be a reference. Choose a picture.", artifact.kind().name()),
                ));
            }
            Some(artifact) => match app.artifacts.bytes(&artifact).await.map_err(gone) {
                Ok(file) => Some(app.uploads.whole(profile, file).await.map_err(|e| upload_error(field, e))?.sha256),
                Err(AppError::NotFound) => None,
                Err(e) => return Err(e),
            },
            None => None,
        },
    };
    found.ok_or_else(|| absent(field, image))
}

/// What is said of a picture that the caller does not have.
pub(super) fn absent(field: &str, image: &ImageRef) -> AppError {
    AppError::field(field, format!("There is no {image} of yours."))
}
