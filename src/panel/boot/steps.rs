//! What a start does, step by step, and how far it is, as data. Pure: knows no repository and no tool.

use serde::Serialize;

/// What a start does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The repositories come in step.
    Repositories,
    /// The folder of tools is read.
    Tools,
    /// users.toml is applied.
    Profiles,
    /// What ran before, and what is to run always, is started.
    Starts,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 4] = [Step::Repositories, Step::Tools, Step::Profiles, Step::Starts];

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Step::Repositories => "Repositories",
            Step::Tools => "Tools",
            Step::Profiles => "Profiles",
            Step::Starts => "What runs by itself",
        }
    }
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Progress {
    /// Others come first.
    Waiting,
    /// It is being done.
    Running,
    /// It is done.
    Done {
        /// What came of it, in a few words.
        words: String,
    },
    /// The studio runs without, or with what was there before.
    Degraded {
        /// What is the matter, in a sentence.
        why: String,
    },
}

/// A start, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(Vec<(Step, Progress)>);

impl Default for Report {
    fn default() -> Report {
        Report(Step::ALL.map(|step| (step, Progress::Waiting)).into())
    }
}

impl Report {
    /// A step is somewhere else now.
    pub fn set(&mut self, step: Step, progress: Progress) {
        if let Some(entry) = self.0.iter_mut().find(|(other, _)| *other == step) {
            entry.1 = progress;
        }
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &(Step, Progress)> {
        self.0.iter()
    }

    /// Nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.0.iter().all(|(_, progress)| matches!(progress, Progress::Done { .. } | Progress::Degraded { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_over_when_nothing_is_left_whatever_came_of_it() {
        let mut report = Report::default();
        for step in Step::ALL {
            assert!(!report.is_over());
            report.set(step, Progress::Degraded { why: "x".into() });
        }
        assert!(report.is_over());
    }
}
