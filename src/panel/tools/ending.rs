//! The end of a panel: tools that are up end with it, and what changes of them leave is cleared away first. Counts tasks; knows no
//! process.

use super::{ToolId, Tools, runtime::Stop};
use std::time::Duration;
use tokio::{sync::watch, time::timeout};

/// A tool gets so long to end: twice its own script's time, the grace after the signal, and half a minute for an engine that is slow
/// to kill. One that hangs in the kernel does not end at all, and must not keep the panel.
const ENDING: Duration = Duration::from_secs(80);
/// What a change has left is cleared away within that time: a container on trial gets its grace.
const CLEARING: Duration = Duration::from_secs(40);

/// A task that the panel's end waits for, counted for as long as it lasts, however it ends.
pub(super) struct Counted(watch::Sender<usize>);

impl Counted {
    /// One more.
    pub(super) fn new(count: &watch::Sender<usize>) -> Counted {
        count.send_modify(|count| *count += 1);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Tools {
    /// Ends every tool that is up; they start again with the next panel.
    pub async fn end_all(&self) {
        let ids: Vec<ToolId> = self.entries().keys().cloned().collect();
        ids.iter().for_each(|id| self.tell_stop(id, Stop::ForNow));
        if !none_left(&self.0.up, ENDING).await {
            let left = self.entries();
            let left = left.iter().filter(|(_, entry)| entry.state.as_ref().is_some_and(|state| state.is_up()));
            let left: Vec<&str> = left.map(|(id, _)| id.as_str()).collect();
            tracing::error!("these tools do not end, and are left as they are: {}", left.join(", "));
        }
    }

    /// Waits until what was left of changes that were ended is cleared away, such as the container of an image on trial.
    pub async fn end_changes(&self) {
        if !none_left(&self.0.changing, CLEARING).await {
            tracing::warn!("what a change of a tool left is not cleared away yet; the next start does it");
        }
    }
}

/// Waits until nothing is counted any more. False: not within `most`.
async fn none_left(count: &watch::Sender<usize>, most: Duration) -> bool {
    timeout(most, count.subscribe().wait_for(|count| *count == 0)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_end_is_not_waited_for_for_ever() {
        let count = watch::Sender::new(0);
        let (one, other) = (Counted::new(&count), Counted::new(&count));
        drop(one);
        assert!(!none_left(&count, Duration::from_millis(20)).await);
        tokio::spawn(async move { drop(other) });
        assert!(none_left(&count, Duration::from_secs(20)).await);
    }
}
