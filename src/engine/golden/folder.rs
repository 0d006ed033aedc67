//! One family's recording, or a folder of them, and the verdict on all. Knows which module compares which family.

use super::{Case, Outcome, Reference, schedulers, stable_diffusion};
use crate::{EngineError, device::Device};
use protocol::Problem;
use serde_json::Value;
use std::{fs, path::Path};

/// What came out of all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was compared is within its tolerance.
    Equal,
    /// Something is not.
    Different,
    /// Nothing that the engine has was there.
    NothingRan,
}

impl Verdict {
    /// Of these cases; `strict` takes what is not offered for a difference.
    pub fn of(cases: &[Case], strict: bool) -> Verdict {
        let offered = |case: &&Case| !matches!(case.outcome, Outcome::NotOffered(_));
        if !cases.iter().any(|case| offered(&case)) {
            Verdict::NothingRan
        } else if cases.iter().all(|case| case.outcome.holds() || (!strict && !offered(&case))) {
            Verdict::Equal
        } else {
            Verdict::Different
        }
    }

    /// Exit status of a program that says it: 0, 1 or 2.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Equal => 0,
            Verdict::Different => 1,
            Verdict::NothingRan => 2,
        }
    }
}

/// Compares all cases of the recording in `dir`, or of every recording in a folder directly below it. `told` hears of
/// each case as it is done.
pub fn check(dir: &Path, device: &Device, told: &mut dyn FnMut(&Case)) -> Result<Vec<Case>, EngineError> {
    let here = |dir: &Path| dir.join("reference.json").is_file();
    let mut folders = vec![dir.to_path_buf()];
    if !here(dir) {
        let entries = fs::read_dir(dir)
            .map_err(|e| EngineError::BadInput(Problem::new(format!("{} cannot be read: {e}.", dir.display()))))?;
        folders = entries.flatten().map(|entry| entry.path()).filter(|path| here(path)).collect();
        folders.sort();
    }
    let mut cases = Vec::new();
    for folder in folders {
        let found = family(&folder, device)?;
        found.iter().for_each(&mut *told);
        cases.extend(found);
    }
    Ok(cases)
}

fn family(dir: &Path, device: &Device) -> Result<Vec<Case>, EngineError> {
    let json = Reference::read_json(dir)?;
    match json["family"].as_str().unwrap_or_default() {
        "schedulers" => Ok(schedulers::check(&Reference::read(dir)?)),
        name if stable_diffusion::FAMILIES.contains(&name) => {
            stable_diffusion::check(dir, &Reference::read(dir)?, device.backend()?, device.element())
        }
        name => Ok(not_offered(name, &json)),
    }
}

/// The cases of a family that the engine does not have; a recording without named cases is one.
fn not_offered(family: &str, json: &Value) -> Vec<Case> {
    let case = |name: &str| Case {
        family: family.into(),
        name: name.into(),
        outcome: Outcome::NotOffered(format!("the family {family}")),
    };
    match json["cases"].as_object() {
        Some(cases) => cases.keys().map(|name| case(name)).collect(),
        None => vec![case("all")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Stage;

    fn case(outcome: Outcome) -> Case {
        Case { family: "f".into(), name: "n".into(), outcome }
    }

    #[test]
    fn the_verdict_counts_what_is_offered() {
        let stage = |worst| Outcome::Compared(vec![Stage { name: "s".into(), worst, tolerance: 1.0 }]);
        let (good, wrong, not) = (case(stage(0.5)), case(stage(2.0)), case(Outcome::NotOffered("x".into())));
        let verdict =
            |cases: &[&Case], strict| Verdict::of(&cases.iter().map(|c| (*c).clone()).collect::<Vec<_>>(), strict).exit_code();
        assert_eq!(verdict(&[&good], true), 0);
        assert_eq!(verdict(&[&good, &not], false), 0);
        assert_eq!(verdict(&[&good, &not], true), 1);
        assert_eq!(verdict(&[&good, &wrong], false), 1);
        assert_eq!(verdict(&[&not], false), 2);
        assert_eq!(verdict(&[], false), 2);
        assert_eq!(verdict(&[&case(Outcome::Failed("x".into()))], false), 1);
    }
}
