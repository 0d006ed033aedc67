//! How a volume treats what would change it. Knows errors only.

use fuser::Errno;

/// What changes meet. Reading always works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// They work.
    Calm,
    /// Nothing new and no byte more: EDQUOT. Removing, renaming and syncing work, and statfs(2) tells of much room.
    NoQuota,
    /// None works, syncing included: EIO. So does a volume whose power is gone.
    Broken,
}

impl Weather {
    /// Whether bytes and names can be added.
    pub(super) fn write(self) -> Result<(), Errno> {
        match self {
            Weather::Calm => Ok(()),
            Weather::NoQuota => Err(Errno::EDQUOT),
            Weather::Broken => Err(Errno::EIO),
        }
    }

    /// Whether what needs no room can be done.
    pub(super) fn change(self) -> Result<(), Errno> {
        if self == Weather::Broken { Err(Errno::EIO) } else { Ok(()) }
    }
}
