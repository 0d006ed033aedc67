//! `/api/v1/openapi.json`, generated from the handlers. Knows what all of them share: how one logs in, and
//! what every refusal looks like.

use super::{artifacts, events, health, inspect, jobs, me, models, uploads, zip};
use crate::error::Shown;
use actix_web::HttpResponse;
use std::sync::OnceLock;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Easel", description = "Pictures from a studio of your own."),
    paths(
        jobs::submit, jobs::list, jobs::get, jobs::cancel, jobs::again, events::of_all, events::of_job, uploads::begin,
        uploads::piece, uploads::offset, artifacts::list, artifacts::layout, artifacts::get, artifacts::file, artifacts::thumb,
        artifacts::delete, artifacts::restore, zip::download, models::list, models::tokens, models::estimate, inspect::inspect,
        me::me, health::healthz, health::readyz
    ),
    components(schemas(Shown)),
    modifiers(&Shared)
)]
struct Document;

/// Bearer tokens, and the problem that any operation may answer with.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete, &mut item.head];
            operations.into_iter().flatten().for_each(with_problem);
        }
    }
}

fn with_problem(operation: &mut Operation) {
    let shape = ContentBuilder::new().schema(Some(Ref::from_schema_name(Shown::name()))).build();
    let problem = ResponseBuilder::new().description("A problem").content("application/problem+json", shape).build();
    operation.responses.responses.insert("default".into(), RefOr::T(problem));
}

/// The document.
pub async fn openapi() -> HttpResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| Document::openapi().to_json().expect("the document is JSON"));
    HttpResponse::Ok().content_type("application/json").body(document.as_str())
}
