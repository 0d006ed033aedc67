//! A dataset for a trainer: downloaded as an archive, or written to the workspace. Knows no layout itself.

use super::{body, streamed::streamed};
use crate::{
    App,
    datasets::{Layout, limits::MAX_REPEATS},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Payload, Query},
};
use serde::{Deserialize, Serialize};

/// Repeats where nobody says how many.
const REPEATS: u32 = 10;
/// Characters of a class.
const MAX_CLASS: usize = 64;

/// The shape of an export.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// flat: pictures and captions side by side, as AI-Toolkit wants them; kohya: in one folder
    /// `<repeats>_<trigger> <class>`. flat where absent.
    layout: Option<String>,
    /// Of kohya's folder, 1 to 1000; 10 where absent.
    repeats: Option<u32>,
    /// Of kohya's folder: what the trained thing is one of; may be empty.
    class: Option<String>,
}

impl Shape {
    fn layout(self) -> Result<Layout, AppError> {
        let repeats = self.repeats.unwrap_or(REPEATS);
        let class = self.class.unwrap_or_default();
        match self.layout.as_deref().unwrap_or("flat") {
            "flat" => Ok(Layout::Flat),
            "kohya" if !(1..=MAX_REPEATS).contains(&repeats) => {
                Err(AppError::field("repeats", format!("They are 1 to {MAX_REPEATS}.")))
            }
            "kohya" if class.chars().count() > MAX_CLASS => {
                Err(AppError::field("class", format!("It can have at most {MAX_CLASS} characters.")))
            }
            "kohya" => Ok(Layout::Kohya { repeats, class }),
            _ => Err(AppError::field("layout", "It is flat or kohya.")),
        }
    }
}

/// An export that was begun.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Exporting {
    /// The folder, below the workspace.
    folder: String,
}

/// The dataset as an archive, written while it is sent.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/zip", tag = "datasets", params(("id" = String, Path), Shape),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
pub async fn zip(app: Data<App>, artist: Artist, id: Path<String>, shape: Query<Shape>) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let outgoing = app.datasets.outgoing(profile, &id, &shape.into_inner().layout()?).await?;
    let ascii: String = outgoing.file_name().chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let body = streamed(move |out| outgoing.write(out));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/zip"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{ascii}\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .streaming(body))
}

/// Starts to write the dataset to `datasets/<profile>/<dataset>` in the workspace; the dataset's task tells how far it is.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/export", tag = "datasets", params(("id" = String, Path)), request_body = Shape,
    responses((status = 202, body = Exporting)))]
pub async fn export(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let shape: Shape = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let folder = app.datasets.export(profile, &id, &shape.layout()?).await?;
    Ok(HttpResponse::Accepted().json(Exporting { folder }))
}
