//! Work on repositories while the studio serves: begun in a terminal, joined, and seen to its end. Knows no git beyond asking whether a
//! commit can be gone to.

use super::{
    handle::{Boot, BootError, State},
    kept,
    steps::{Progress, Step},
    sync::{RepoReport, Work},
};
use crate::{
    config::Config,
    sessions::{Action, Begin, SessionId},
    users::ProfileId,
};
use std::{ffi::OsString, io, path::Path};
use supervise::{Exit, Guarded, Launch, Size};
use tokio::sync::oneshot;

/// Work that was begun: its terminal, what it is, and how the repositories stood before.
pub(super) struct Begun {
    pub(super) session: SessionId,
    work: Work,
    before: Vec<RepoReport>,
    exit: oneshot::Receiver<Exit>,
}

impl Boot {
    /// What the reports of all repositories come to.
    pub(super) fn told(&self) -> Progress {
        let repos = self.view().repos;
        let behind = |name: &str| match repos.iter().find(|report| report.name == name) {
            Some(report) => report.behind(),
            None => Some("It was not synced yet.".to_owned()),
        };
        match self.config().boot.repos.iter().find_map(|repo| Some((&repo.name, behind(&repo.name)?))) {
            Some((name, why)) => Progress::Degraded { why: format!("{name}: {why}") },
            None => Progress::Done { words: "in step".into() },
        }
    }

    /// Does work on the repositories, and answers with the terminal of it; whoever wants what runs already joins that.
    ///
    /// # Errors
    /// When there is no such repository or commit, something else is at work, or there is no terminal.
    pub async fn work(&self, work: Work, by: ProfileId) -> Result<SessionId, BootError> {
        if self.config().boot.repos.is_empty() {
            return Err(BootError::Refused("No repository is configured.".into()));
        }
        self.check(&work).await?;
        let this = self.clone();
        // On the studio's own runtime: whoever asks may be a worker of the web server, and may hang up.
        let begun = self.runtime().spawn(async move {
            let begun = match this.begin(work, by).await? {
                Ok(begun) => begun,
                Err(running) => return Ok(running),
            };
            let session = begun.session.clone();
            tokio::spawn(async move {
                this.end(begun).await;
                this.set(Step::Repositories, this.told());
                let tools = this.put_tools().await;
                this.set(Step::Tools, tools);
            });
            Ok(session)
        });
        begun.await.map_err(io::Error::other)?
    }

    /// Work on one repository is for a commit that it has: who asks for another one is told at once.
    async fn check(&self, work: &Work) -> Result<(), BootError> {
        let Some(name) = work.repo() else { return Ok(()) };
        let (path, work) = (self.repo(name)?.path, work.clone());
        let look = move || match &work {
            Work::All => Ok(()),
            Work::GoTo { commit, .. } => repos::can_check_out(&path, commit),
            Work::Take { commit, .. } => repos::can_accept(&path, commit),
        };
        Ok(tokio::task::spawn_blocking(look).await.map_err(io::Error::other)??)
    }

    /// Starts `easel sync` in a terminal; the terminal of one that runs, where that does the same.
    pub(super) async fn begin(&self, work: Work, by: ProfileId) -> Result<Result<Begun, SessionId>, BootError> {
        let session = SessionId::generate();
        let before = {
            let mut state = self.state();
            if let Some(running) = state.enter(&session, &work)? {
                return Ok(Err(running));
            }
            state.repos.clone()
        };
        let what = Begin { id: session.clone(), tool: None, action: Action::Sync, by };
        match self.parts().sessions.begin(what, &launch(self.config(), &work)).await {
            Ok((_, exit)) => {
                self.parts().events.stir_notices();
                Ok(Ok(Begun { session, work, before, exit }))
            }
            Err(e) => {
                self.state().syncing = None;
                Err(e.into())
            }
        }
    }

    /// Waits for the end of work, and takes up what it has left.
    pub(super) async fn end(&self, begun: Begun) {
        let Begun { work, before, exit, .. } = begun;
        let exit = exit.await.unwrap_or(Exit::Unknown);
        let (config, now) = (self.config().clone(), self.parts().clock.ms());
        let known = before.clone();
        let look = move || kept::after(&config.boot, &before, kept::kept(&config.data), work.repo(), now, &exit.to_string());
        // Its end is no fault of what is known.
        let repos = tokio::task::spawn_blocking(look).await.unwrap_or(known);
        for report in &repos {
            match report.behind() {
                None => tracing::info!(repository = report.name, "in step"),
                Some(why) => tracing::warn!(repository = report.name, "not in step: {why}"),
            }
        }
        tracing::info!("the sync {exit}");
        // What it has brought is put in use next: nothing is over before that.
        self.set(Step::Tools, Progress::Running);
        let mut state = self.state();
        state.repos = repos;
        state.last = state.syncing.take().map(|(session, _)| session);
        drop(state);
        self.parts().events.stir_notices();
    }
}

impl State {
    /// Work begins in this terminal, unless some runs. Where that is the very same, the terminal of it.
    fn enter(&mut self, session: &SessionId, work: &Work) -> Result<Option<SessionId>, BootError> {
        match &self.syncing {
            Some((running, other)) if other == work => Ok(Some(running.clone())),
            Some(_) => Err(BootError::Busy),
            None => {
                self.syncing = Some((session.clone(), work.clone()));
                Ok(None)
            }
        }
    }
}

/// `easel sync`, as this panel is configured, under a guardian and in a terminal.
fn launch(config: &Config, work: &Work) -> Launch {
    let flag = |name: &str, value: &str| [OsString::from(name), OsString::from(value)];
    let path = |name: &str, path: &Path| [OsString::from(name), path.as_os_str().to_owned()];
    let mut launch = Launch::new(&config.engine_program).arg("sync").arg("--for-panel");
    let file = config.file.iter().flat_map(|file| path("--config", file));
    let what = match work {
        Work::All => Vec::new(),
        Work::GoTo { repo, commit } => [flag("--repo", repo), flag("--to", commit)].concat(),
        Work::Take { repo, commit } => [flag("--repo", repo), flag("--take", commit)].concat(),
    };
    for arg in path("--data", &config.data).into_iter().chain(file).chain(what) {
        launch = launch.arg(arg);
    }
    launch.guarded(Guarded { guardian: config.engine_program.clone(), user: None, terminal: Some(Size::default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_work_is_joined() {
        let go_to = |commit: &str| Work::GoTo { repo: "studio".into(), commit: commit.into() };
        let (first, second) = (SessionId::generate(), SessionId::generate());
        for (running, same, others) in
            [(Work::All, Work::All, [go_to("a"), go_to("b")]), (go_to("a"), go_to("a"), [go_to("b"), Work::All])]
        {
            let mut state = State::default();
            assert_eq!(state.enter(&first, &running).unwrap(), None);
            assert_eq!(state.enter(&second, &same).unwrap(), Some(first.clone()));
            for other in others {
                // Whoever was told that his sync runs would wait for it in vain.
                assert!(matches!(state.enter(&second, &other), Err(BootError::Busy)), "{other:?} during {running:?}");
            }
        }
    }
}
