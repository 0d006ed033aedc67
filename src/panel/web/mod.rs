//! Every URL of Easel on one screen, with who may ask. Knows no page and no rule: those stand in the
//! handlers and their extractors.

pub mod api;
mod asker;
pub mod auth;
pub mod doors;
mod errors;
mod front;
pub mod pages;

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

routes! {
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
    Open   "/assets/{name}"                   { get pages::assets::get }
    Artist "/studio"                          { get pages::studio::page }
    Artist "/gallery"                         { get pages::gallery::page }
    Artist "/picture/{id}"                    { get pages::picture::page }
    Artist "/profile"                         { get pages::profile::page }
    Open   "/healthz"                         { get api::health::healthz }
    Open   "/readyz"                          { get api::health::readyz }
    Open   "/api/v1/healthz"                  { get api::health::healthz }
    Open   "/api/v1/readyz"                   { get api::health::readyz }
    Open   "/api/v1/openapi.json"             { get api::openapi::openapi }
    Artist "/api/v1/me"                       { get api::me::me }
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
    Artist "/api/v1/artifacts"                { get api::artifacts::list }
    Artist "/api/v1/artifacts/layout"         { get api::artifacts::layout }
    Artist "/api/v1/artifacts/zip"            { post api::zip::download }
    Artist "/api/v1/artifacts/{id}"           { get api::artifacts::get, delete api::artifacts::delete }
    Artist "/api/v1/artifacts/{id}/file"      { get api::artifacts::file }
    Artist "/api/v1/artifacts/{id}/thumb"     { get api::artifacts::thumb }
    Artist "/api/v1/artifacts/{id}/restore"   { post api::artifacts::restore }
}
