//! `/api/v1/openapi.json`, generated from the handlers. Knows what all of them share: how one logs in, and
//! what every refusal looks like.

use super::{
    admin_jobs, admin_mode, admin_models, artifacts, audit, boot, containers, dataset_captions, dataset_exports,
    dataset_pictures, dataset_uploads, datasets, events, health, inspect, jobs, logs, me, models, notices, sessions, system,
    tool_scripts, tools, transcripts, uploads, users, vision, zip,
};
use crate::{error::Shown, web::terminal};
use actix_web::HttpResponse;
use std::sync::OnceLock;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, ResponseBuilder, Schema,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Easel", description = "Pictures from a studio of your own."),
    paths(
        jobs::submit, jobs::list, jobs::get, jobs::cancel, jobs::again, events::of_all, events::of_job, uploads::begin,
        uploads::piece, uploads::offset, uploads::file, artifacts::list, artifacts::layout, artifacts::get, artifacts::file, artifacts::thumb, artifacts::keep_still, artifacts::workflow,
        artifacts::delete, artifacts::restore, artifacts::delete_many, artifacts::restore_many, zip::download, zip::choose, zip::of_choice, models::list, models::tokens, models::estimate, inspect::inspect,
        me::me, notices::list, notices::keep, health::healthz, health::readyz, sessions::list, sessions::get, sessions::open, sessions::end,
        transcripts::get, terminal::attach, tools::list, tools::get, tools::choices, tools::install, tools::update, tools::go_back,
        tool_scripts::get, tool_scripts::accept, boot::get, boot::sync, boot::history, boot::go_to, boot::rewritten, boot::pin, containers::get, containers::shell,
        tools::reinstall, tools::start, tools::stop, tools::ticket,
        admin_mode::turn_on, admin_mode::turn_off, system::get, system::restart_engine, logs::list, logs::files,
        logs::file, audit::list, users::list, users::add, users::change, users::set_pin, users::raise, admin_jobs::list,
        admin_jobs::cancel, admin_models::list, admin_models::fetch, admin_models::remove, admin_models::begin,
        admin_models::piece, admin_models::offset, admin_models::again, admin_models::cancel,
        datasets::list, datasets::make, datasets::get, datasets::change, datasets::delete, datasets::buckets, datasets::cancel,
        dataset_uploads::begin, dataset_uploads::piece, dataset_uploads::offset, dataset_uploads::pick, dataset_uploads::folder,
        dataset_captions::replace, dataset_captions::undo, dataset_captions::caption_all, dataset_exports::zip,
        dataset_exports::export, dataset_pictures::caption, dataset_pictures::remove, dataset_pictures::restore,
        dataset_pictures::file, dataset_pictures::thumb, vision::get, vision::set, vision::forget
    ),
    components(schemas(Shown)),
    modifiers(&Shared)
)]
struct Document;

/// Shape of `protocol::Draft`.
const DRAFT: &str = include_str!("draft.json");

/// Bearer tokens, and the problem that any operation may answer with.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let draft: RefOr<Schema> = serde_json::from_str(DRAFT).expect("the schema beside this file is one");
        components.schemas.insert("Draft".into(), draft);
        for (path, item) in &mut document.paths.paths {
            let operations = [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("patch", &mut item.patch),
                ("delete", &mut item.delete),
                ("head", &mut item.head),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                let name = path.trim_start_matches("/api/v1").replace(['/', '{', '}', '.'], "_");
                operation.operation_id = Some(format!("{method}{name}"));
                with_problem(operation);
                if method == "post" && (path.ends_with("/jobs") || path.ends_with("/estimate")) {
                    with_draft(operation);
                }
            }
        }
    }
}

/// The recipe as people write it belongs to `protocol`, which knows no OpenAPI.
fn with_draft(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let draft = ContentBuilder::new().schema(Some(Ref::from_schema_name("Draft"))).build();
    body.content.insert("application/json".into(), RefOr::T(draft));
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

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Draft;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_names_every_field_of_a_draft_and_no_operation_twice() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let fields = document["components"]["schemas"]["Draft"]["properties"].as_object().unwrap();
        let refused = serde_json::from_str::<Draft>("{\"no such field\": 1}").unwrap_err().to_string();
        let known: BTreeSet<&str> = refused.split('`').skip(3).step_by(2).collect();
        assert_eq!(fields.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
        let ids: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
            .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }
}
