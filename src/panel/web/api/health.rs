//! Whether the panel answers, and whether it can work. Knows no details that would help a stranger.

use actix_web::HttpResponse;

/// Answers as long as the panel lives.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Answers 200 once requests can be served.
pub async fn readyz() -> HttpResponse {
    healthz().await
}
