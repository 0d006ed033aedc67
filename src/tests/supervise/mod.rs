//! Guardian, init and live terminals with the real program as guardian: nothing survives, every exit is told, every byte
//! is the one that was written. Knows no tool and no page.

mod guardian;
mod init;
mod terminal;

use std::{fs, sync::Arc, time::Duration};
use supervise::{Guarded, HostSpawner, Launch, Size, Spawned, Spawner};

/// A shell script under a guardian.
fn guarded(script: &str, terminal: Option<Size>) -> Launch {
    let guarded = Guarded { guardian: env!("CARGO_BIN_EXE_easel").into(), user: None, terminal };
    Launch::new("/bin/bash").arg("-c").arg(script).guarded(guarded)
}

fn spawner() -> Arc<HostSpawner> {
    Arc::new(HostSpawner::new().unwrap())
}

async fn spawn(launch: &Launch) -> Spawned {
    HostSpawner::new().unwrap().spawn(launch).await.unwrap()
}

/// Whether a process with this mark in its environment lives (a dead one that waits to be reaped does not).
pub(crate) fn living(mark: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let marked = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.contains(") Z ") && environment.split(|b| *b == 0).any(|v| v == mark.as_bytes())
    };
    all.filter(marked)
        .map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " "))
        .collect()
}

async fn until(what: &str, limit: Duration, mut is: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
