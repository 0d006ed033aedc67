//! Every URL of Easel on one screen, with who may ask. Knows no page and no rule: those stand in the
//! handlers and their extractors.

pub mod api;
mod asker;
pub mod auth;
pub mod doors;
mod errors;
mod front;
pub mod pages;
pub mod terminal;

pub use front::{form_limit, front};

use actix_web::web::{self, ServiceConfig};

/// Who may ask for a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Open,
    /// Whoever is past the studio key.
    Studio,
    /// A logged-in profile; what is another's does not exist.
    Artist,
    /// An admin in admin mode.
    Admin,
}

/// One URL with one method.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Method, in lower case.
    pub method: &'static str,
    /// Path, with `{names}`.
    pub path: &'static str,
    /// Who may ask.
    pub who: Who,
}

macro_rules! routes {
    ($($who:ident $path:literal { $($method:ident $handler:path),+ $(,)? })*) => {
        /// Every URL, for the tests that try each as everybody.
        pub const TABLE: &[Route] = &[$($(Route { method: stringify!($method), path: $path, who: Who::$who }),+),*];

        /// Registers every URL.
        pub fn routes(config: &mut ServiceConfig) {
            $(config.service(web::resource($path)$(.route(web::$method().to($handler)))+.default_service(web::to(errors::wrong_method)));)*
            config.app_data(web::QueryConfig::default().error_handler(|e, _| errors::bad_query(&e).into()));
            config.default_service(web::to(errors::nothing_here));
        }
    };
}

// The router tries them in this order, so what is asked most stands first.
routes! {
    Open   "/healthz"                         { get api::health::healthz }
    Open   "/readyz"                          { get api::health::readyz }
    Open   "/"                                { get doors::picker::page }
    Open   "/key"                             { get doors::key::page, post doors::key::enter }
    Open   "/ticket"                          { post doors::key::ticket }
    Open   "/password"                        { get doors::password::page, post doors::password::set }
    Studio "/first"                           { post doors::first::make }
    Studio "/pick/{id}"                       { post doors::picker::pick }
    Studio "/pin/{id}"                        { get doors::pin::page, post doors::pin::enter }
    Studio "/switch"                          { post doors::leave::switch }
    Open   "/logout"                          { post doors::leave::logout }
    Artist "/profile/pin"                     { post doors::profile::set_pin }
    Artist "/profile/theme"                   { post doors::profile::set_theme }
    Artist "/profile/shortcuts"               { post doors::profile::set_shortcuts }
    Admin  "/profile/password"                { post doors::profile::set_password }
    Artist "/admin"                           { get doors::admin::page, post doors::admin::turn_on }
    Admin  "/admin/link/{id}"                 { post doors::admin::link }
    Artist "/admin/off"                       { post doors::admin::turn_off }
    Admin  "/admin/system"                    { get pages::admin::system }
    Admin  "/admin/users"                     { get pages::admin::users }
    Admin  "/admin/models"                    { get pages::admin::models }
    Admin  "/admin/jobs"                      { get pages::admin::jobs }
    Admin  "/admin/logs"                      { get pages::admin::logs }
    Admin  "/admin/audit"                     { get pages::admin::audit }
    Admin  "/admin/boot"                      { get pages::admin::boot }
    Admin  "/admin/containers"                { get pages::admin::containers }
    Admin  "/admin/debug"                     { get pages::debug::page }
    Open   "/assets/{name}"                   { get pages::assets::get }
    Artist "/studio"                          { get pages::studio::page }
    Artist "/gallery"                         { get pages::gallery::page }
    Artist "/picture/{id}"                    { get pages::picture::page }
    Artist "/datasets"                        { get pages::datasets::all }
    Artist "/datasets/{id}"                   { get pages::datasets::one }
    Artist "/tools"                           { get pages::tools::page }
    Admin  "/sessions"                        { get pages::tools::sessions }
    Admin  "/sessions/{id}"                   { get pages::tools::session }
    Artist "/profile"                         { get pages::profile::page }
    Open   "/api/v1/healthz"                  { get api::health::healthz }
    Open   "/api/v1/readyz"                   { get api::health::readyz }
    Open   "/api/v1/openapi.json"             { get api::openapi::openapi }
    Artist "/api/v1/me"                       { get api::me::me }
    Artist "/api/v1/notices"                  { get api::notices::list }
    Artist "/api/v1/pod/keep"                 { post api::notices::keep }
    Artist "/api/v1/models"                   { get api::models::list }
    Artist "/api/v1/tokens"                   { post api::models::tokens }
    Artist "/api/v1/estimate"                 { post api::models::estimate }
    Artist "/api/v1/inspect"                  { post api::inspect::inspect }
    Artist "/api/v1/jobs"                     { get api::jobs::list, post api::jobs::submit }
    Artist "/api/v1/jobs/{id}"                { get api::jobs::get, delete api::jobs::cancel }
    Artist "/api/v1/jobs/{id}/again"          { post api::jobs::again }
    Artist "/api/v1/jobs/{id}/events"         { get api::events::of_job }
    Artist "/api/v1/events"                   { get api::events::of_all }
    Artist "/api/v1/uploads"                  { post api::uploads::begin }
    Artist "/api/v1/uploads/{id}"             { patch api::uploads::piece, head api::uploads::offset }
    Artist "/api/v1/uploads/{id}/file"        { get api::uploads::file }
    Admin  "/api/v1/boot"                     { get api::boot::get }
    Admin  "/api/v1/containers"               { get api::containers::get }
    Admin  "/api/v1/containers/{tool}/shell"  { post api::containers::shell }
    Admin  "/api/v1/boot/sync"                { post api::boot::sync }
    Admin  "/api/v1/boot/repos/{name}/commits" { get api::boot::history }
    Admin  "/api/v1/boot/repos/{name}/commit" { post api::boot::go_to }
    Admin  "/api/v1/boot/repos/{name}/rewritten" { post api::boot::rewritten }
    Admin  "/api/v1/boot/repos/{name}/pin"    { post api::boot::pin }
    Artist "/api/v1/tools"                    { get api::tools::list }
    Artist "/api/v1/tools/{id}"               { get api::tools::get }
    Admin  "/api/v1/tools/{id}/scripts"       { get api::tool_scripts::get, post api::tool_scripts::accept }
    Admin  "/api/v1/tools/{id}/choices"       { get api::tools::choices }
    Admin  "/api/v1/tools/{id}/install"       { post api::tools::install }
    Admin  "/api/v1/tools/{id}/update"        { post api::tools::update }
    Admin  "/api/v1/tools/{id}/go-back"       { post api::tools::go_back }
    Admin  "/api/v1/tools/{id}/reinstall"     { post api::tools::reinstall }
    Artist "/api/v1/tools/{id}/start"         { post api::tools::start }
    Artist "/api/v1/tools/{id}/stop"          { post api::tools::stop }
    Artist "/api/v1/tools/{id}/ticket"        { post api::tools::ticket }
    Admin  "/api/v1/sessions"                 { get api::sessions::list, post api::sessions::open }
    Admin  "/api/v1/sessions/{id}"            { get api::sessions::get, delete api::sessions::end }
    Admin  "/api/v1/sessions/{id}/transcript" { get api::transcripts::get }
    Admin  "/api/v1/sessions/{id}/attach"     { get terminal::attach }
    Artist "/api/v1/artifacts"                { get api::artifacts::list }
    Artist "/api/v1/artifacts/layout"         { get api::artifacts::layout }
    Artist "/api/v1/artifacts/zip"            { post api::zip::download }
    Artist "/api/v1/artifacts/zips"           { post api::zip::choose }
    Artist "/api/v1/artifacts/zips/{name}"    { get api::zip::of_choice }
    Artist "/api/v1/artifacts/delete"         { post api::artifacts::delete_many }
    Artist "/api/v1/artifacts/restore"        { post api::artifacts::restore_many }
    Artist "/api/v1/artifacts/{id}"           { get api::artifacts::get, delete api::artifacts::delete }
    Artist "/api/v1/artifacts/{id}/file"      { get api::artifacts::file }
    Artist "/api/v1/artifacts/{id}/thumb"     { get api::artifacts::thumb, put api::artifacts::keep_still }
    Artist "/api/v1/artifacts/{id}/workflow"  { get api::artifacts::workflow }
    Artist "/api/v1/artifacts/{id}/restore"   { post api::artifacts::restore }
    Artist "/api/v1/datasets"                 { get api::datasets::list, post api::datasets::make }
    Artist "/api/v1/datasets/{id}"            { get api::datasets::get, patch api::datasets::change, delete api::datasets::delete }
    Artist "/api/v1/datasets/{id}/uploads"    { post api::dataset_uploads::begin }
    Artist "/api/v1/datasets/{id}/artifacts"  { post api::dataset_uploads::pick }
    Admin  "/api/v1/datasets/{id}/folder"     { post api::dataset_uploads::folder }
    Artist "/api/v1/datasets/{id}/buckets"    { get api::datasets::buckets }
    Artist "/api/v1/datasets/{id}/replace"    { post api::dataset_captions::replace }
    Artist "/api/v1/datasets/{id}/undo"       { post api::dataset_captions::undo }
    Artist "/api/v1/datasets/{id}/captions"   { post api::dataset_captions::caption_all }
    Artist "/api/v1/datasets/{id}/task"       { delete api::datasets::cancel }
    Artist "/api/v1/datasets/{id}/zip"        { get api::dataset_exports::zip }
    Artist "/api/v1/datasets/{id}/export"     { post api::dataset_exports::export }
    Artist "/api/v1/dataset-uploads/{id}"     { patch api::dataset_uploads::piece, head api::dataset_uploads::offset }
    Artist "/api/v1/dataset-pictures/{id}"    { delete api::dataset_pictures::remove }
    Artist "/api/v1/dataset-pictures/{id}/caption" { put api::dataset_pictures::caption }
    Artist "/api/v1/dataset-pictures/{id}/restore" { post api::dataset_pictures::restore }
    Artist "/api/v1/dataset-pictures/{id}/file" { get api::dataset_pictures::file }
    Artist "/api/v1/dataset-pictures/{id}/thumb" { get api::dataset_pictures::thumb }
    Admin  "/api/v1/vision"                   { get api::vision::get, put api::vision::set, delete api::vision::forget }
    Artist "/api/v1/admin-mode"               { post api::admin_mode::turn_on, delete api::admin_mode::turn_off }
    Admin  "/api/v1/system"                   { get api::system::get }
    Admin  "/api/v1/system/engines/{number}/restart" { post api::system::restart_engine }
    Admin  "/api/v1/logs"                     { get api::logs::list }
    Admin  "/api/v1/logs/files"               { get api::logs::files }
    Admin  "/api/v1/logs/file"                { get api::logs::file }
    Admin  "/api/v1/audit"                    { get api::audit::list }
    Admin  "/api/v1/users"                    { get api::users::list, post api::users::add }
    Admin  "/api/v1/users/{id}"               { patch api::users::change }
    Admin  "/api/v1/users/{id}/pin"           { post api::users::set_pin }
    Admin  "/api/v1/users/{id}/raise"         { post api::users::raise }
    Admin  "/api/v1/admin/jobs"               { get api::admin_jobs::list }
    Admin  "/api/v1/admin/jobs/{id}"          { delete api::admin_jobs::cancel }
    Admin  "/api/v1/admin/models"             { get api::admin_models::list, post api::admin_models::fetch }
    Admin  "/api/v1/admin/models/{id}"        { delete api::admin_models::remove }
    Admin  "/api/v1/admin/arrivals"           { post api::admin_models::begin }
    Admin  "/api/v1/admin/arrivals/{id}"      { patch api::admin_models::piece, head api::admin_models::offset, delete api::admin_models::cancel }
    Admin  "/api/v1/admin/arrivals/{id}/again" { post api::admin_models::again }
}
