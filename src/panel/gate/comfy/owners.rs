//! Whose a prompt is, and whose a file that lies outside of all profiles' folders. For as long as one ComfyUI runs: its queue
//! and its history end with it, and its temp folder is emptied when it starts, so nothing of this is worth keeping. Pure.

use super::names::File;
use crate::users::ProfileId;
use std::collections::{HashMap, HashSet, VecDeque};

/// Prompts that are remembered; ComfyUI forgets after half as many. Who owns an older one is known by nobody, so nobody gets
/// it.
const PROMPTS_MAX: usize = 20_000;
/// Files outside of the profiles' folders that are remembered for each profile.
const FILES_MAX: usize = 20_000;

/// What is known of one run of ComfyUI.
#[derive(Debug, Default)]
pub(super) struct Owners {
    prompts: HashMap<String, ProfileId>,
    order: VecDeque<String>,
    files: HashMap<ProfileId, Files>,
}

#[derive(Debug, Default)]
struct Files {
    known: HashSet<File>,
    order: VecDeque<File>,
}

impl Owners {
    /// Takes an id for a profile's prompt. False where there is such a prompt, whoever's it is.
    pub(super) fn reserve(&mut self, prompt: &str, profile: &ProfileId) -> bool {
        if self.prompts.contains_key(prompt) {
            return false;
        }
        if self.order.len() >= PROMPTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.prompts.remove(&oldest);
        }
        self.prompts.insert(prompt.to_owned(), profile.clone());
        self.order.push_back(prompt.to_owned());
        true
    }

    /// The prompt was not taken.
    pub(super) fn release(&mut self, prompt: &str) {
        if self.prompts.remove(prompt).is_some() {
            self.order.retain(|id| id != prompt);
        }
    }

    /// Whether a prompt is this profile's.
    pub(super) fn owns(&self, profile: &ProfileId, prompt: &str) -> bool {
        self.prompts.get(prompt) == Some(profile)
    }

    /// The profile's prompts, newest first.
    pub(super) fn of(&self, profile: &ProfileId) -> Vec<String> {
        self.order.iter().rev().filter(|id| self.owns(profile, id)).cloned().collect()
    }

    /// Remembers what a profile's prompt made outside of all profiles' folders. Two who run the same graph may get the same
    /// file, which ComfyUI has made once.
    pub(super) fn made(&mut self, profile: &ProfileId, files: impl IntoIterator<Item = File>) {
        let own = self.files.entry(profile.clone()).or_default();
        for file in files.into_iter().filter(|file| !file.subfolder.starts_with('@')) {
            if own.known.insert(file.clone()) {
                own.order.push_back(file);
            }
            if own.order.len() > FILES_MAX
                && let Some(oldest) = own.order.pop_front()
            {
                own.known.remove(&oldest);
            }
        }
    }

    /// Whether a prompt of the profile made this file.
    pub(super) fn has(&self, profile: &ProfileId, file: &File) -> bool {
        self.files.get(profile).is_some_and(|files| files.known.contains(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::comfy::names::Kind;

    fn id(text: &str) -> ProfileId {
        ProfileId::parse(text).unwrap()
    }

    #[test]
    fn a_prompt_has_one_owner_for_good() {
        let (zoe, mateo, mut owners) = (id("zoe"), id("mateo"), Owners::default());
        assert!(owners.reserve("a", &zoe) && owners.reserve("b", &zoe) && owners.reserve("c", &mateo));
        assert!(!owners.reserve("a", &mateo) && !owners.reserve("a", &zoe));
        assert!(owners.owns(&zoe, "a") && !owners.owns(&mateo, "a") && !owners.owns(&zoe, "d"));
        assert_eq!(owners.of(&zoe), ["b", "a"]);
        owners.release("a");
        assert!(owners.reserve("a", &mateo) && !owners.owns(&zoe, "a"));
    }

    #[test]
    fn the_oldest_are_forgotten_and_then_nobodys() {
        let (zoe, mut owners) = (id("zoe"), Owners::default());
        (0..=PROMPTS_MAX).for_each(|n| assert!(owners.reserve(&n.to_string(), &zoe)));
        assert!(!owners.owns(&zoe, "0") && owners.owns(&zoe, "1") && owners.of(&zoe).len() == PROMPTS_MAX);
    }

    #[test]
    fn files_in_somebodys_folder_are_told_by_the_folder_alone() {
        let (zoe, mateo, mut owners) = (id("zoe"), id("mateo"), Owners::default());
        let file = |subfolder: &str| File { kind: Kind::Temp, subfolder: subfolder.into(), name: "x.png".into() };
        owners.made(&zoe, [file(""), file("@mateo"), file("@mateo/deep")]);
        assert!(owners.has(&zoe, &file("")) && !owners.has(&zoe, &file("@mateo")) && !owners.has(&mateo, &file("")));
    }
}
