//! Whether the panel answers, and whether it can work. Knows no details that would help a stranger.

use crate::{App, engine_client::EngineStatus};
use actix_web::{HttpResponse, web::Data};

/// Answers as long as the panel lives.
#[utoipa::path(get, path = "/api/v1/healthz", tag = "health", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// 200 once jobs are worked on; 503 while the engine is away. Jobs are taken in either case.
#[utoipa::path(get, path = "/api/v1/readyz", tag = "health",
    responses((status = 200, content_type = "text/plain", body = String), (status = 503, content_type = "text/plain", body = String)))]
pub async fn readyz(app: Data<App>) -> HttpResponse {
    let ready = app.engines.view().status == EngineStatus::Ready;
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.content_type("text/plain; charset=utf-8").body(if ready { "ready\n" } else { "starting\n" })
}
