//! Kills of the panel with its data folder on a network volume. Knows what the same on a disk knows.

use super::with_users;
use crate::{jobs_survive::survives_kills, program::is_long};

/// Fewer than on a disk: each start waits for the lease.
const KILLS: usize = 10;
const KILLS_LONG: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_of_the_panel_on_a_network_volume_loses_or_doubles_a_picture() {
    let Some(volume) = with_users() else { return };
    survives_kills(volume.path(), if is_long() { KILLS_LONG } else { KILLS }).await;
}
