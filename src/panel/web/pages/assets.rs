//! The files of the front end: cached for ever under hashed names, compressed as the browser takes it.
//! Knows no page.

use crate::error::AppError;
use actix_web::{HttpRequest, HttpResponse, http::header, web::Path};

/// A year: a file's name changes with its bytes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /assets/{name}`
pub async fn get(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, AppError> {
    if let Some((bytes, mime)) = assets::find_in_folder(&name) {
        let headers = [(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "no-store")];
        return Ok(headers.into_iter().fold(&mut HttpResponse::Ok(), |answer, h| answer.insert_header(h)).body(bytes));
    }
    let asset = assets::find(&name).ok_or(AppError::NotFound)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, asset.mime)).insert_header((header::CACHE_CONTROL, FOR_EVER));
    answer.insert_header((header::VARY, "Accept-Encoding"));
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    Ok(match (asset.brotli.filter(|_| takes(accepted, "br")), asset.gzip.filter(|_| takes(accepted, "gzip"))) {
        (Some(bytes), _) => answer.insert_header((header::CONTENT_ENCODING, "br")).body(bytes),
        (None, Some(bytes)) => answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(bytes),
        (None, None) => answer.body(asset.bytes),
    })
}

/// Whether an Accept-Encoding header names a coding and does not refuse it with a weight of 0.
fn takes(header: &str, coding: &str) -> bool {
    header.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let refused = words.any(|w| w.strip_prefix("q=").is_some_and(|q| q.trim().parse().is_ok_and(|q: f32| q == 0.0)));
        named && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, test, web};

    #[actix_web::test]
    async fn the_browser_gets_the_best_coding_it_takes() {
        let app = test::init_service(App::new().route("/assets/{name}", web::get().to(get))).await;
        for (accept, coding) in [("gzip, deflate, br", Some("br")), ("gzip;q=1", Some("gzip")), ("br;q=0", None), ("", None)] {
            let request =
                test::TestRequest::get().uri(&assets::url("easel.css")).insert_header((header::ACCEPT_ENCODING, accept));
            let answer = test::call_service(&app, request.to_request()).await;
            assert_eq!(answer.headers().get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap()), coding, "{accept}");
            assert!(answer.headers().get(header::CACHE_CONTROL).unwrap().to_str().unwrap().contains("immutable"));
        }
    }

    #[actix_web::test]
    async fn no_name_leads_out_of_the_bundle() {
        let app = test::init_service(App::new().route("/assets/{name}", web::get().to(get))).await;
        for name in ["nothing.js", "..%2fCargo.toml", "easel.css"] {
            let request = test::TestRequest::get().uri(&format!("/assets/{name}")).to_request();
            let status = match test::try_call_service(&app, request).await {
                Ok(answer) => answer.status().as_u16(),
                Err(e) => e.as_response_error().status_code().as_u16(),
            };
            assert_eq!(status, 404, "{name}");
        }
    }
}
