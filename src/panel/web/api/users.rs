//! `/api/v1/users`: profiles as an admin changes them, at once and for everybody. Knows no rule: those are
//! `crate::control`'s and `crate::users`'.

use super::body;
use crate::{
    App,
    clock::rfc3339,
    control::{Control, Desk},
    error::AppError,
    secrets::{Secret, check_pin},
    users::{Name, Profile, ProfileId, Role},
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// Whoever was seen in so long is here, in ms: an open page asks at least every 90 s.
const HERE: i64 = 2 * 60 * 1_000;

/// A profile as an admin sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// One or two letters of it.
    initials: String,
    /// Number of its colour, 0 to 7.
    colour: u8,
    /// artist or admin.
    role: &'static str,
    /// The role that users.toml asks for and an admin has to confirm.
    pending: Option<&'static str>,
    /// A PIN is asked.
    has_pin: bool,
    /// It has a password for admin mode.
    has_password: bool,
    /// It cannot be picked.
    disabled: bool,
    /// users.toml named it.
    from_file: bool,
    /// It has a page open, or had one two minutes ago.
    here: bool,
    /// When it was last here, RFC 3339; none where it is here, or logged in nowhere.
    seen: Option<String>,
    /// Pictures that it keeps.
    pictures: u64,
    /// Its jobs that wait or run.
    jobs: usize,
    /// It is the one who asks.
    oneself: bool,
}

/// All profiles.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Users {
    /// The profiles, oldest first.
    users: Vec<UserView>,
    /// What is wrong with users.toml.
    problems: Vec<String>,
}

/// A new profile.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Any script, at most 64 characters.
    name: String,
    /// a-z, 0-9, - and _; derived from the name where absent.
    id: Option<String>,
    /// artist where absent.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// 4 characters or more.
    #[schema(value_type = Option<String>)]
    pin: Option<Secret>,
}

/// What to change.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Another name.
    name: Option<String>,
    /// Another role.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// Whether it cannot be picked. Its files are kept, its logins end.
    disabled: Option<bool>,
}

/// A new PIN, or none.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    /// Null takes the PIN away.
    #[schema(value_type = Option<String>)]
    pin: Option<Secret>,
}

/// Whether a role that waits is given.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// Give it, or not.
    confirm: bool,
}

/// All profiles as an admin sees them.
pub(in crate::web) async fn all(app: &App, admin: &Admin) -> Result<Users, AppError> {
    let (seen, now) = (app.logins.last_seen(), app.clock.ms());
    let pictures = app.artifacts.of_each().await?;
    let view = |p: Profile| {
        let last = seen.get(&p.id).copied();
        UserView {
            initials: crate::web::doors::initials(&p.name),
            colour: p.colour,
            role: p.role.as_str(),
            pending: p.pending.map(Role::as_str),
            has_pin: p.has_pin,
            has_password: p.has_password,
            disabled: p.disabled,
            from_file: p.from_file,
            here: last.is_some_and(|at| now - at < HERE),
            seen: last.filter(|at| now - at >= HERE).map(rfc3339),
            pictures: pictures.get(p.id.as_str()).copied().unwrap_or(0),
            jobs: app.jobs.unfinished(&p.id),
            oneself: p.id == admin.artist.profile.id,
            id: p.id.to_string(),
            name: p.name,
        }
    };
    Ok(Users { users: app.users.list().into_iter().map(view).collect(), problems: app.users.problems() })
}

async fn one(app: &App, admin: &Admin, id: &ProfileId) -> Result<UserView, AppError> {
    let found = all(app, admin).await?.users.into_iter().find(|u| u.id == id.as_str());
    found.ok_or(AppError::NotFound)
}

fn known(app: &App, id: &str) -> Result<ProfileId, AppError> {
    let id = ProfileId::parse(id).map_err(|_| AppError::NotFound)?;
    app.users.get(&id).map(|p| p.id).ok_or(AppError::NotFound)
}

fn desk(app: &App, admin: &Admin) -> Desk {
    Desk::of(app).asked_by(&admin.artist.profile.id)
}

/// All profiles, and what is wrong with users.toml.
#[utoipa::path(get, path = "/api/v1/users", tag = "admin", responses((status = 200, body = Users)))]
pub async fn list(app: Data<App>, admin: Admin) -> Result<Json<Users>, AppError> {
    Ok(Json(all(&app, &admin).await?))
}

/// Makes a profile.
#[utoipa::path(post, path = "/api/v1/users", tag = "admin", request_body = NewUser, responses((status = 201, body = UserView)))]
pub async fn add(app: Data<App>, admin: Admin, payload: Payload) -> Result<HttpResponse, AppError> {
    let NewUser { name, id, role, pin } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let name = Name::parse(&name).map_err(|e| AppError::field("name", e.to_string()))?;
    let id = id.filter(|id| !id.is_empty()).map(|id| ProfileId::parse(&id)).transpose();
    let id = id.map_err(|e| AppError::field("id", e.to_string()))?;
    if let Some(pin) = &pin {
        check_pin(pin).map_err(|e| AppError::field("pin", e.to_string()))?;
    }
    let Some(id) = id.or_else(|| ProfileId::derive(&name)) else {
        return Err(AppError::field("id", "No id can be derived from this name. Give one: a-z, 0-9, - and _."));
    };
    if let Some(other) = app.users.get(&id) {
        let words = format!("The id \"{id}\" belongs to {}. Give this one an id of its own.", other.name);
        return Err(AppError::field("id", words));
    }
    let desk = desk(&app, &admin);
    desk.carry_out(Control::UserAdd { name, id: Some(id.clone()), role: role.unwrap_or(Role::Artist) }).await?;
    if pin.is_some() {
        desk.carry_out(Control::UserSetPin { user: id.to_string(), pin }).await?;
    }
    Ok(HttpResponse::Created().json(one(&app, &admin, &id).await?))
}

/// Changes a profile. It takes effect at once: whoever is disabled hears nothing more, and their jobs are cancelled.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "admin", params(("id" = String, Path)), request_body = Changes,
    responses((status = 200, body = UserView)))]
pub async fn change(app: Data<App>, admin: Admin, id: Path<String>, payload: Payload) -> Result<Json<UserView>, AppError> {
    let id = known(&app, &id)?;
    let Changes { name, role, disabled } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let name = name.map(|name| Name::parse(&name)).transpose().map_err(|e| AppError::field("name", e.to_string()))?;
    let (desk, user) = (desk(&app, &admin), || id.to_string());
    let asks = [
        name.map(|name| Control::UserRename { user: user(), name }),
        role.map(|role| Control::UserSetRole { user: user(), role }),
        disabled.map(|off| if off { Control::UserDisable { user: user() } } else { Control::UserEnable { user: user() } }),
    ];
    for ask in asks.into_iter().flatten() {
        desk.carry_out(ask).await?;
    }
    if disabled == Some(true) {
        app.jobs.cancel_all(&id).await?;
    }
    Ok(Json(one(&app, &admin, &id).await?))
}

/// Sets or takes away a profile's PIN, and logs it out.
#[utoipa::path(post, path = "/api/v1/users/{id}/pin", tag = "admin", params(("id" = String, Path)), request_body = NewPin,
    responses((status = 200, body = UserView)))]
pub async fn set_pin(app: Data<App>, admin: Admin, id: Path<String>, payload: Payload) -> Result<Json<UserView>, AppError> {
    let id = known(&app, &id)?;
    let NewPin { pin } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    if let Some(pin) = &pin {
        check_pin(pin).map_err(|e| AppError::field("pin", e.to_string()))?;
    }
    desk(&app, &admin).carry_out(Control::UserSetPin { user: id.to_string(), pin }).await?;
    Ok(Json(one(&app, &admin, &id).await?))
}

/// Gives the role that users.toml asks for, or does not.
#[utoipa::path(post, path = "/api/v1/users/{id}/raise", tag = "admin", params(("id" = String, Path)), request_body = Raise,
    responses((status = 200, body = UserView)))]
pub async fn raise(app: Data<App>, admin: Admin, id: Path<String>, payload: Payload) -> Result<Json<UserView>, AppError> {
    let id = known(&app, &id)?;
    let Raise { confirm } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let user = id.to_string();
    let ask = if confirm { Control::UserConfirm { user } } else { Control::UserRefuse { user } };
    desk(&app, &admin).carry_out(ask).await?;
    Ok(Json(one(&app, &admin, &id).await?))
}
