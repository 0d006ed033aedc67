//! What every page behind the door shows around itself: bar, profile menu, device, admin mode. Knows no page.

use crate::{
    App,
    users::Role,
    web::{auth::Artist, doors::initials},
};

/// The frame of a page.
#[derive(Clone, Debug)]
pub struct Shell {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) initials: String,
    pub(super) colour: u8,
    pub(super) may_admin: bool,
    /// Minutes of admin mode that are left.
    pub(super) admin_minutes: Option<u32>,
    /// Where the engine computes, in words.
    pub(super) device: String,
    /// Which page this is: "studio", "gallery", "admin" or none of them.
    pub(super) here: &'static str,
    /// Whether single letters work as keys.
    pub(super) shortcuts: bool,
    /// This is a pod that is stopped when nobody uses it.
    pub(super) stops_itself: bool,
    /// URL of the script that holds the browser's one stream.
    pub(super) stream: String,
}

impl Shell {
    /// The frame for whoever asks.
    pub(super) fn new(app: &App, artist: &Artist, here: &'static str) -> Shell {
        let profile = &artist.profile;
        let device = app.engines.view().device;
        Shell {
            id: profile.id.to_string(),
            name: profile.name.clone(),
            initials: initials(&profile.name),
            colour: profile.colour,
            may_admin: profile.role == Role::Admin,
            admin_minutes: artist.admin_minutes,
            device: if device.is_empty() { "Engine starting".into() } else { device },
            here,
            shortcuts: profile.shortcuts,
            stops_itself: app.pod.stops_itself(),
            stream: assets::url("worker.js").into_owned(),
        }
    }
}
