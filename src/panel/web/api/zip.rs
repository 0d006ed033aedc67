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
    web::{Data, Payload},
};
use serde::Deserialize;
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

/// Many pictures as one archive.
#[utoipa::path(post, path = "/api/v1/artifacts/zip", tag = "artifacts", request_body = Wanted,
    responses((status = 200, content_type = "application/zip", body = Vec<u8>)))]
pub async fn download(app: Data<App>, artist: Artist, payload: Payload) -> Result<HttpResponse, AppError> {
    let Wanted { ids } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    if ids.is_empty() || ids.len() > MAX_PICTURES {
        return Err(AppError::field("ids", format!("They are 1 to {MAX_PICTURES} pictures.")));
    }
    let mut pictures = Vec::with_capacity(ids.len());
    for id in ids {
        pictures.push(app.artifacts.get(&artist.profile.id, &id).await?.ok_or(AppError::NotFound)?);
    }
    let artifacts = app.artifacts.clone();
    let body = streamed(move |out| write(&artifacts, &pictures, out));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/zip"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"easel.zip\""))
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
