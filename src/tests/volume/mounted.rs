//! A volume that is mounted, whose weather and power a test has in its hand. Knows no test.

use super::{
    fuse::{Served, State},
    tree::Tree,
    weather::Weather,
};
use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

/// A volume of this machine behind FUSE, which Easel takes for one across a network. Dropped, it is unmounted.
pub(super) struct Volume {
    served: Served,
    /// Some while it is mounted.
    session: Option<BackgroundSession>,
    at: tempfile::TempDir,
}

impl Volume {
    /// An empty volume; none where this process may not mount: then the test says so.
    pub(super) fn mount() -> Option<Volume> {
        let state = State { tree: Tree::new(), weather: Weather::Calm };
        let served = Served(Arc::new(Mutex::new(state)));
        let mut volume = Volume { served, session: None, at: tempfile::tempdir().unwrap() };
        match volume.try_mount() {
            Ok(()) => Some(volume),
            // What happens to somebody without root or without /dev/fuse. Anything else is a mistake.
            Err(error) if may_not_mount(&error) => {
                println!("SKIPPED, it needs /dev/fuse and root to mount: {error}");
                None
            }
            Err(error) => panic!("the volume cannot be mounted: {error}"),
        }
    }

    fn try_mount(&mut self) -> std::io::Result<()> {
        let mut config = Config::default();
        config.acl = SessionACL::All;
        config.mount_options = vec![
            MountOption::FSName("easel-test".into()),
            // The kernel checks modes, so that they mean what they mean elsewhere.
            MountOption::DefaultPermissions,
        ];
        self.session = Some(fuser::spawn_mount(self.served.clone(), self.at.path(), &config)?);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        self.at.path()
    }

    pub(super) fn set(&self, weather: Weather) {
        self.served.state().weather = weather;
    }

    /// Lets everything last that was written so far.
    pub(super) fn settle(&self) {
        self.served.state().tree.settle();
    }

    /// Throws away everything that was not synced, and mounts what is left. Whoever still has the old mount can write
    /// nothing any more.
    pub(super) fn power_cut(&mut self) {
        let left = {
            let mut state = self.served.state();
            state.weather = Weather::Broken;
            state.tree.after_power_cut()
        };
        self.unmount();
        self.served = Served(Arc::new(Mutex::new(State { tree: left, weather: Weather::Calm })));
        self.try_mount().unwrap();
    }

    /// At once, even if a process that was killed just now still has a file open.
    fn unmount(&mut self) {
        let Some(session) = self.session.take() else { return };
        let _ = Command::new("umount").arg("-l").arg(self.at.path()).status();
        drop(session);
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn may_not_mount(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied) || !rustix::process::geteuid().is_root()
}
