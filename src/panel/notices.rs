//! What the studio has to say to its people above their work: that its pod is about to stop, that its disk does not last, that
//! it is not in step with its repository. Builds sentences; knows no page.

use crate::{
    app::App,
    boot::{BootView, steps::Progress},
    pod::{Idle, PodView},
};
use serde::Serialize;

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Notice {
    /// Which it is: `idle`, `idle-refused`, `disk`, `sync`, `boot`.
    pub id: &'static str,
    /// It is bad, and not only worth knowing.
    pub bad: bool,
    /// What is the matter, in a sentence.
    pub title: String,
    /// What that means and what to do.
    pub text: String,
    /// It happens in so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
    /// What can be done about it by whoever it is told to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<NoticeAction>,
}

/// Something to do about a notice.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NoticeAction {
    /// What a button says.
    pub words: &'static str,
    /// The path of the API that is posted to.
    pub post: &'static str,
}

/// What there is to say now; to an admin in admin mode with what can be done about it.
pub fn all(app: &App, admin: bool) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(pod) = app.pod.view() {
        notices.extend(of_idle(&app.pod.idle(), &pod, app.clock.ms()));
        notices.extend(of_disk(&pod));
    }
    notices.extend(of_boot(&app.boot.view(), admin));
    notices
}

/// What of the start did not work, and which repository is not in step.
fn of_boot(boot: &BootView, admin: bool) -> Vec<Notice> {
    let behind = |report: &crate::boot::sync::RepoReport| {
        let why = report.behind()?;
        let (title, running) = match &report.commit {
            Some(commit) => {
                let of = jiff::Timestamp::from_second(commit.time).ok().map(|time| time.strftime("%-d %B %Y").to_string());
                let short = commit.id.get(..7).unwrap_or(&commit.id);
                ("Running from the last good copy.".to_owned(), format!(" Running {short} of {}.", of.unwrap_or_default()))
            }
            None => (format!("The repository {} is not here.", report.name), String::new()),
        };
        let action = admin.then_some(NoticeAction { words: "Sync now", post: "/boot/sync" });
        Some(Notice { id: "sync", bad: false, title, text: format!("{why}{running}"), left: None, action })
    };
    let of_steps = boot.report.steps().filter_map(|(step, progress)| match progress {
        // Told by each repository.
        Progress::Degraded { why } if *step != crate::boot::steps::Step::Repositories => Some(Notice {
            id: "boot",
            bad: false,
            title: format!("{}: not all is as it should be.", step.title()),
            text: why.clone(),
            left: None,
            action: None,
        }),
        _ => None,
    });
    let of_repos = if boot.syncing.is_some() { Vec::new() } else { boot.repos.iter().filter_map(behind).collect() };
    of_repos.into_iter().chain(of_steps).collect()
}

fn of_idle(idle: &Idle, pod: &PodView, now: i64) -> Option<Notice> {
    let minutes = pod.idle_stop_min?;
    match idle {
        Idle::Watching { .. } => None,
        Idle::Counting { until } => Some(Notice {
            id: "idle",
            bad: false,
            title: format!("Nobody has worked here for {minutes} minutes, so this pod is about to stop."),
            text: format!(
                "Everything on its volume stays. When it is started again, its GPU may be gone to somebody else.{}",
                spent(pod)
            ),
            left: Some((until - now).max(0)),
            action: None,
        }),
        Idle::Stopping { .. } => Some(Notice {
            id: "idle",
            bad: false,
            title: "This pod is stopping.".into(),
            text: format!("Nobody has worked here for {minutes} minutes. It is started again at its provider.{}", spent(pod)),
            left: None,
            action: None,
        }),
        Idle::Refused { why, .. } => Some(Notice {
            id: "idle-refused",
            bad: true,
            title: "This pod could not be stopped, and costs on.".into(),
            text: format!("{why} It is tried again every ten minutes; you can stop it at its provider."),
            left: None,
            action: None,
        }),
    }
}

/// What it has cost so far, where the price is known.
fn spent(pod: &PodView) -> String {
    let (Some(spent), Some(per_hour)) = (pod.spent, pod.per_hour) else { return String::new() };
    format!(" Since Easel started on it, it has cost about ${spent:.2}, at ${per_hour:.2} an hour.")
}

fn of_disk(pod: &PodView) -> Option<Notice> {
    pod.disk_is_lost.then(|| Notice {
        id: "disk",
        bad: true,
        title: "Pictures, models and settings are on the container's own disk.".into(),
        text: "They are gone when this pod stops. Start it with a volume at /workspace, or set \"data\" to a folder on one."
            .into(),
        left: None,
        action: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_says_what_is_lost_and_what_it_cost() {
        let pod = PodView { idle_stop_min: Some(60), per_hour: Some(0.44), spent: Some(3.301), ..PodView::default() };
        let notice = of_idle(&Idle::Counting { until: 7 }, &pod, 2).unwrap();
        assert!(notice.text.contains("GPU may be gone") && notice.text.contains("about $3.30, at $0.44 an hour"), "{notice:?}");
        assert_eq!(notice.left, Some(5));
        let unpriced = of_idle(&Idle::Counting { until: 7 }, &PodView { per_hour: None, ..pod.clone() }, 2).unwrap();
        assert!(!unpriced.text.contains('$'));
        assert_eq!(of_idle(&Idle::Watching { since: 0 }, &pod, 2), None);
    }
}
