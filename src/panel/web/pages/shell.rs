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
    /// Where the engines compute: "CPU, 2 cores", "2 × NVIDIA H100".
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
            device: if device.is_empty() { "Engine starting".into() } else { named(&device) },
            here,
            shortcuts: profile.shortcuts,
            stops_itself: app.pod.stops_itself(),
            stream: assets::url("worker.js").into_owned(),
        }
    }
}

/// Devices as artists speak of them: a GPU by its name, without how it keeps numbers and what multiplies them.
fn named(devices: &str) -> String {
    let name = |device: &str| match device.split_once(", ") {
        Some((name, _)) if !name.ends_with("CPU") => name.to_owned(),
        _ => device.to_owned(),
    };
    devices.split("; ").map(name).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_called_by_its_name() {
        assert_eq!(named("CPU, 2 cores"), "CPU, 2 cores");
        assert_eq!(named("2 × CPU, 1 core"), "2 × CPU, 1 core");
        assert_eq!(named("NVIDIA H100, f16, cuBLASLt 13.1"), "NVIDIA H100");
        assert_eq!(named("2 × H100, f16; CPU, 2 cores; L4"), "2 × H100; CPU, 2 cores; L4");
    }
}
