//! `/api/v1/artifacts/zip`: many pictures as one file, written while it is sent. Knows no store.

use super::{
    body,
    streamed::{Out, streamed},
};
use crate::{
    App,
    artifacts::{Artifact, Artifacts, download_name},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Payload},
};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Pictures of one archive at most.
const MAX_PICTURES: usize = 1000;

/// Which pictures.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Their ids, 1 to 1000.
    ids: Vec<String>,
}

/// A choice that is kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeptZip {
    /// Where the archive is, for ten minutes and this profile.
    url: String,
}

/// Many pictures as one archive, in the answer. A browser would hold it in memory: see `/artifacts/zips`.
#[utoipa::path(post, path = "/api/v1/artifacts/zip", tag = "artifacts", request_body = Wanted,
    responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
pub async fn download(app: Data<App>, artist: Artist, payload: Payload) -> Result<HttpResponse, AppError> {
    let ids = wanted(payload).await?;
    archive(&app, &artist, ids).await
}

/// Keeps a choice of pictures, to be fetched as one archive by `url`.
#[utoipa::path(post, path = "/api/v1/artifacts/zips", tag = "artifacts", request_body = Wanted,
    responses((status = 201, body = KeptZip)))]
pub async fn choose(app: Data<App>, artist: Artist, payload: Payload) -> Result<HttpResponse, AppError> {
    let ids = wanted(payload).await?;
    // Now, while there is a page that can tell: whoever follows the address has none.
    pictures(&app, &artist, &ids).await.map_err(|e| match e {
        AppError::NotFound => AppError::Conflict("One of these pictures is gone. Load the page again and choose anew.".into()),
        other => other,
    })?;
    let url = format!("/api/v1/artifacts/zips/{}", app.artifacts.choose(&artist.profile.id, ids));
    Ok(HttpResponse::Created().json(KeptZip { url }))
}

/// The pictures of a choice as one archive.
#[utoipa::path(get, path = "/api/v1/artifacts/zips/{name}", tag = "artifacts", params(("name" = String, Path)),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
pub async fn of_choice(app: Data<App>, artist: Artist, name: Path<String>) -> Result<HttpResponse, AppError> {
    let ids = app.artifacts.chosen(&artist.profile.id, &name).ok_or(AppError::NotFound)?;
    archive(&app, &artist, ids).await
}

async fn wanted(payload: Payload) -> Result<Vec<String>, AppError> {
    let Wanted { ids } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    if ids.is_empty() || ids.len() > MAX_PICTURES {
        return Err(AppError::field("ids", format!("They are 1 to {MAX_PICTURES} pictures.")));
    }
    Ok(ids)
}

async fn pictures(app: &App, artist: &Artist, ids: &[String]) -> Result<Vec<Artifact>, AppError> {
    let mut pictures = Vec::with_capacity(ids.len());
    for id in ids {
        pictures.push(app.artifacts.get(&artist.profile.id, id).await?.ok_or(AppError::NotFound)?);
    }
    Ok(pictures)
}

async fn archive(app: &App, artist: &Artist, ids: Vec<String>) -> Result<HttpResponse, AppError> {
    let pictures = pictures(app, artist, &ids).await?;
    let plural = if pictures.len() == 1 { "" } else { "s" };
    let name = format!("attachment; filename=\"easel-{}-picture{plural}.zip\"", pictures.len());
    let artifacts = app.artifacts.clone();
    let body = streamed(move |out| write(&artifacts, &pictures, out));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/zip"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .streaming(body))
}

fn write(artifacts: &Artifacts, pictures: &[Artifact], out: Out) -> anyhow::Result<()> {
    let mut archive = ZipWriter::new_stream(out);
    // Pictures are compressed already.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for (i, picture) in pictures.iter().enumerate() {
        archive.start_file(format!("{:03}-{}", i + 1, download_name(picture)), options)?;
        io::copy(&mut artifacts.file(picture)?, &mut archive)?;
    }
    archive.finish()?.into_inner().flush()?;
    Ok(())
}
