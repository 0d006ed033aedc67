//! A tool gets a new image: a container of it is made beside the former one, takes its place, and gives it back unless it is
//! well. At any moment of it the panel may die; what is left then is mended by names.

use crate::{ContainerError, ContainerSpec, Engine, Owned, Suffix};
use std::{collections::BTreeSet, time::Duration};

/// What of a new container's words is told when it is not well, in bytes.
const LAST_WORDS: usize = 2000;

/// How an update went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// The container of the new image, well and running.
    pub container: Owned,
    /// Whether there was a former one.
    pub replaced: bool,
}

/// One step of mending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Remove that one.
    Remove(Suffix),
    /// Give the former one its name back.
    BringBack,
}

/// What to do about the containers that a tool has after a panel died. What was being tried goes, however far it had come: its
/// image is kept as the current one by then, or the former one is.
pub fn mend(there: &BTreeSet<Suffix>) -> Vec<Step> {
    let mut steps = Vec::new();
    if there.contains(&Suffix::Next) {
        steps.push(Step::Remove(Suffix::Next));
    }
    match (there.contains(&Suffix::None), there.contains(&Suffix::Former)) {
        (true, true) => steps.push(Step::Remove(Suffix::Former)),
        (false, true) => steps.push(Step::BringBack),
        (_, false) => {}
    }
    steps
}

impl Engine {
    /// Mends what an update left behind that did not come to its end.
    ///
    /// # Errors
    /// When the engine does not do it, or one of the names is somebody else's.
    pub async fn mend(&self, tool: &str) -> Result<(), ContainerError> {
        let mut there = BTreeSet::new();
        for suffix in [Suffix::None, Suffix::Next, Suffix::Former] {
            if self.find(tool, suffix).await?.is_some() {
                there.insert(suffix);
            }
        }
        for step in mend(&there) {
            let suffix = if let Step::Remove(suffix) = step { suffix } else { Suffix::Former };
            let Some(container) = self.find(tool, suffix).await? else { continue };
            match step {
                Step::Remove(_) => self.remove(&container).await?,
                Step::BringBack => self.rename(&container, Suffix::None).await?,
            }
        }
        Ok(())
    }

    /// Runs a tool from another image. The new container is made first, so that most mistakes cost nothing; then the former
    /// one is stopped, since both would write to the same folders, and kept until `well` says that the new one is.
    ///
    /// # Errors
    /// When the new one cannot be made, does not start, ends, or is not well. The former one is there again then, and runs if
    /// it ran before.
    pub async fn update(
        &self,
        spec: &ContainerSpec,
        grace: Duration,
        well: impl AsyncFnOnce(&Owned) -> Result<(), String>,
    ) -> Result<Updated, ContainerError> {
        self.mend(&spec.tool).await?;
        let former = self.find(&spec.tool, Suffix::None).await?;
        let next = self.create(spec, Suffix::Next).await?;
        let ran = match &former {
            Some(former) => self.standing(former).await?.running,
            None => false,
        };
        if let Err(why) = self.try_next(&next, former.as_ref(), grace, well).await {
            let log = self.last_words(&next, LAST_WORDS).await.unwrap_or_default();
            self.back(&next, former.as_ref(), ran).await?;
            return Err(ContainerError::RolledBack { why: why.trim_end_matches('.').to_owned(), log: as_lines(&log) });
        }
        // In this order: whenever the panel dies here, what is kept is well.
        self.keep(&spec.tool, &spec.image).await?;
        if let Some(former) = &former {
            self.remove(former).await?;
        }
        self.rename(&next, Suffix::None).await?;
        Ok(Updated { container: next, replaced: former.is_some() })
    }

    async fn try_next(
        &self,
        next: &Owned,
        former: Option<&Owned>,
        grace: Duration,
        well: impl AsyncFnOnce(&Owned) -> Result<(), String>,
    ) -> Result<(), String> {
        if let Some(former) = former {
            self.stop(former, grace).await.map_err(|e| e.to_string())?;
            self.rename(former, Suffix::Former).await.map_err(|e| e.to_string())?;
        }
        self.start(next).await.map_err(|e| e.to_string())?;
        tokio::select! {
            said = well(next) => said,
            exit = self.wait(next) => Err(format!("it {exit} before it was well")),
        }
    }

    async fn back(&self, next: &Owned, former: Option<&Owned>, ran: bool) -> Result<(), ContainerError> {
        self.remove(next).await?;
        self.mend(next.tool()).await?;
        match former {
            Some(former) if ran => self.start(former).await,
            _ => Ok(()),
        }
    }
}

/// A terminal's bytes as lines to read in a sentence.
fn as_lines(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines = text.lines().map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
    lines.filter(|line| !line.trim().is_empty()).fold(String::new(), |all, line| all + "\n" + line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_dead_panel_left_is_one_container_at_most_and_the_former_one_if_there_is_any() {
        let all = [Suffix::None, Suffix::Next, Suffix::Former];
        for bits in 0..8 {
            let before: BTreeSet<Suffix> =
                all.into_iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, s)| s).collect();
            let mut after = before.clone();
            for step in mend(&before) {
                match step {
                    Step::Remove(suffix) => assert!(after.remove(&suffix), "{before:?}"),
                    Step::BringBack => assert!(after.remove(&Suffix::Former) && after.insert(Suffix::None), "{before:?}"),
                }
            }
            let had = before.contains(&Suffix::None) || before.contains(&Suffix::Former);
            assert_eq!(after, if had { [Suffix::None].into() } else { BTreeSet::new() }, "{before:?}");
            assert_eq!(mend(&after), []);
        }
    }

    #[test]
    fn a_log_is_told_without_what_moves_a_cursor() {
        assert_eq!(as_lines(b"\x1b[31mbad\x1b[0m\r\n\r\nworse\r\n"), "\n[31mbad[0m\nworse");
        assert_eq!(as_lines(b""), "");
    }
}
