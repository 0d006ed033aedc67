//! `/api/v1/sessions/{id}/transcript`: what a session wrote, as a file to keep, for admins in admin mode. Knows no live
//! terminal.

use super::sessions::find;
use crate::{App, error::AppError, sessions::Transcript, web::auth::Admin};
use actix_web::{
    HttpResponse,
    http::header,
    web::{Bytes, Data, Path, Query},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use std::io;

/// Bytes of a transcript sent at once.
const CHUNK: usize = 64 * 1024;

/// Where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// Number of the first byte that is wanted; 0 where absent.
    from: Option<u64>,
}

/// What a session wrote so far, byte for byte. A long one keeps its first MiB and, of the newest bytes, 32 MiB or more. Where
/// bytes from `from` on are not kept any more, the first line says how many, and a line in their place says where it goes on.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/transcript", tag = "sessions", params(("id" = String, Path), From),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub async fn get(app: Data<App>, _admin: Admin, id: Path<String>, from: Query<From>) -> Result<HttpResponse, AppError> {
    let record = find(&app, &id).await?;
    let transcript = app.sessions.transcript(&record).await.map_err(|_| AppError::NotFound)?;
    let what = record.tool.as_deref().unwrap_or("shell");
    let name = format!("attachment; filename=\"{what}-{}-{}.log\"", record.action.name(), record.id.as_str());
    let page = Page { at: from.from.unwrap_or(0).min(transcript.end()), begun: false, transcript };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // What a program wrote is not a page of ours, whatever it looks like.
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .streaming(pieces(page)))
}

/// A transcript on its way out.
struct Page {
    transcript: Transcript,
    /// Number of the next byte.
    at: u64,
    begun: bool,
}

impl Page {
    /// What follows; empty at the end, also where a file got shorter under our hands.
    fn turn(&mut self) -> io::Result<Vec<u8>> {
        let mut told: Vec<u8> = Vec::new();
        let dropped = self.transcript.dropped(self.at);
        if !self.begun && dropped > 0 {
            let first = format!("[{dropped} bytes of this transcript are not kept; a line like this is in their place.]\r\n");
            told.extend(first.bytes());
        }
        self.begun = true;
        let piece = self.transcript.read(self.at, CHUNK)?;
        if piece.from > self.at {
            let (dropped, from) = (piece.from - self.at, piece.from);
            told.extend(format!("\r\n[{dropped} bytes are not kept here; what follows begins at byte {from}.]\r\n").bytes());
        }
        self.at = piece.end();
        told.extend(piece.bytes);
        Ok(told)
    }
}

/// A page in pieces, read where waiting for a disk holds nobody up.
fn pieces(page: Page) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(page, |mut page| async move {
        let turned = tokio::task::spawn_blocking(move || Ok::<_, io::Error>((page.turn()?, page)));
        let (told, page) = turned.await.map_err(io::Error::other)??;
        Ok(if told.is_empty() { None } else { Some((Bytes::from(told), page)) })
    })
}
