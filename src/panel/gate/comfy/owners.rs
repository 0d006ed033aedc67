//! Whose a prompt is and where it stands, and whose a file that lies outside of all profiles' folders. For as long as one
//! ComfyUI runs: its queue and its history end with it, and its temp folder is emptied when it starts, so nothing of this is
//! worth keeping. Pure.

use super::names::File;
use super::queue::Queue;
use crate::users::ProfileId;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Prompts of one profile that wait or run.
const WAITING_MAX: usize = 200;
/// Bytes of those as ComfyUI tells them, which it does of all at each change.
const WAITING_BYTES: usize = 32 * 1024 * 1024;
/// Prompts that are remembered for each profile. Who owns an older one is known by nobody, so nobody gets it.
pub(super) const PROMPTS_MAX: usize = 2_000;
/// Files outside of the profiles' folders that are remembered for each profile.
const FILES_MAX: usize = 20_000;
/// So long ComfyUI may take to put a prompt into its queue of which it did not say that it has it.
const GRACE: Duration = Duration::from_secs(300);

/// Where a prompt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It was sent; nobody has said yet that it was taken.
    Sent,
    /// It is in the queue.
    Waiting,
    /// It has left the queue.
    Over,
}

#[derive(Debug)]
struct Prompt {
    owner: ProfileId,
    bytes: usize,
    stand: Stand,
    /// Since when.
    since: Instant,
}

/// Why there is no room for a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There is one of this id.
    Taken,
    /// The profile has too many in the queue.
    Many,
    /// They are too long together.
    Long,
}

impl Full {
    /// For whoever sent it.
    pub(super) fn why(self) -> String {
        match self {
            Full::Taken => "There is a prompt with this prompt_id; leave it away to get one.".into(),
            Full::Many => {
                format!(
                    "You have {WAITING_MAX} prompts in the queue, which is as many as one profile may; wait, or take some out."
                )
            }
            Full::Long => format!(
                "Your prompts in the queue have {} MiB together, which is as much as one profile may; wait, or take some out.",
                WAITING_BYTES >> 20
            ),
        }
    }
}

/// What is known of one run of ComfyUI.
#[derive(Debug, Default)]
pub(super) struct Owners {
    prompts: HashMap<String, Prompt>,
    /// Each profile's, the oldest first.
    order: HashMap<ProfileId, VecDeque<String>>,
    files: HashMap<File, ProfileId>,
    made: HashMap<ProfileId, VecDeque<File>>,
}

impl Owners {
    /// Takes an id for a profile's prompt of so many bytes, which is about to be sent.
    pub(super) fn reserve(&mut self, prompt: &str, profile: &ProfileId, bytes: usize, now: Instant) -> Result<(), Full> {
        if self.prompts.contains_key(prompt) {
            return Err(Full::Taken);
        }
        let order = self.order.entry(profile.clone()).or_default();
        let waiting = order.iter().filter_map(|id| self.prompts.get(id)).filter(|prompt| prompt.stand != Stand::Over);
        let (count, length) = waiting.fold((0, bytes), |(count, length), prompt| (count + 1, length + prompt.bytes));
        if count >= WAITING_MAX {
            return Err(Full::Many);
        }
        if length > WAITING_BYTES {
            return Err(Full::Long);
        }
        if order.len() >= PROMPTS_MAX {
            let over = order.iter().position(|id| self.prompts.get(id).is_none_or(|prompt| prompt.stand == Stand::Over));
            if let Some(oldest) = over.and_then(|at| order.remove(at)) {
                self.prompts.remove(&oldest);
            }
        }
        order.push_back(prompt.to_owned());
        self.prompts.insert(prompt.to_owned(), Prompt { owner: profile.clone(), bytes, stand: Stand::Sent, since: now });
        Ok(())
    }

    /// ComfyUI has taken it.
    pub(super) fn taken(&mut self, prompt: &str, now: Instant) {
        if let Some(prompt) = self.prompts.get_mut(prompt).filter(|prompt| prompt.stand == Stand::Sent) {
            (prompt.stand, prompt.since) = (Stand::Waiting, now);
        }
    }

    /// There is no such prompt: it was not taken, or was forgotten.
    pub(super) fn release(&mut self, prompt: &str) {
        let Some(gone) = self.prompts.remove(prompt) else { return };
        if let Some(order) = self.order.get_mut(&gone.owner) {
            order.retain(|id| id != prompt);
        }
    }

    /// Takes note of what is in the queue and so of what is not any more. It was asked for at `asked`: what has come later is
    /// not in it yet.
    pub(super) fn settle(&mut self, queue: &Queue, asked: Instant) {
        let there: HashSet<&String> = queue.running.iter().chain(&queue.pending).collect();
        for (id, prompt) in self.prompts.iter_mut().filter(|(_, prompt)| prompt.stand != Stand::Over && prompt.since < asked) {
            let there = there.contains(id);
            let wait = if prompt.stand == Stand::Sent { GRACE } else { Duration::ZERO };
            if there && prompt.stand == Stand::Sent {
                (prompt.stand, prompt.since) = (Stand::Waiting, asked);
            } else if !there && asked.duration_since(prompt.since) >= wait {
                prompt.stand = Stand::Over;
            }
        }
    }

    /// Whether a prompt is in the queue no more.
    pub(super) fn is_over(&self, prompt: &str) -> bool {
        self.prompts.get(prompt).is_none_or(|prompt| prompt.stand == Stand::Over)
    }

    /// Whether a prompt is this profile's.
    pub(super) fn owns(&self, profile: &ProfileId, prompt: &str) -> bool {
        self.prompts.get(prompt).is_some_and(|prompt| prompt.owner == *profile)
    }

    /// The profile's prompts that have left the queue, newest first.
    pub(super) fn over(&self, profile: &ProfileId) -> Vec<String> {
        let order = self.order.get(profile).into_iter().flatten().rev();
        order.filter(|id| self.is_over(id)).cloned().collect()
    }

    /// Remembers what a profile's prompt made outside of all profiles' folders. The first one's it stays: a node may show what
    /// it was told to, and another's previews among it.
    pub(super) fn made(&mut self, profile: &ProfileId, files: impl IntoIterator<Item = File>) {
        let made = self.made.entry(profile.clone()).or_default();
        for file in files.into_iter().filter(|file| !file.subfolder.starts_with('@')) {
            if self.files.contains_key(&file) {
                continue;
            }
            self.files.insert(file.clone(), profile.clone());
            made.push_back(file);
            if made.len() > FILES_MAX
                && let Some(oldest) = made.pop_front()
            {
                self.files.remove(&oldest);
            }
        }
    }

    /// Whether a prompt of the profile made this file.
    pub(super) fn has(&self, profile: &ProfileId, file: &File) -> bool {
        self.files.get(file) == Some(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::comfy::names::Kind;

    fn id(text: &str) -> ProfileId {
        ProfileId::parse(text).unwrap()
    }

    fn queue(pending: &[&str]) -> Queue {
        Queue { running: Vec::new(), pending: pending.iter().map(|id| (*id).to_owned()).collect() }
    }

    #[test]
    fn a_prompt_has_one_owner_for_good() {
        let (zoe, mateo, mut owners, now) = (id("zoe"), id("mateo"), Owners::default(), Instant::now());
        for (prompt, profile) in [("a", &zoe), ("b", &zoe), ("c", &mateo)] {
            assert_eq!(owners.reserve(prompt, profile, 1, now), Ok(()));
        }
        assert_eq!(
            (owners.reserve("a", &mateo, 1, now), owners.reserve("a", &zoe, 1, now)),
            (Err(Full::Taken), Err(Full::Taken))
        );
        assert!(owners.owns(&zoe, "a") && !owners.owns(&mateo, "a") && !owners.owns(&zoe, "d"));
        owners.release("a");
        assert!(owners.reserve("a", &mateo, 1, now).is_ok() && !owners.owns(&zoe, "a"));
    }

    #[test]
    fn what_left_the_queue_is_over_and_what_came_later_is_not() {
        let (zoe, mut owners, now) = (id("zoe"), Owners::default(), Instant::now());
        let after = |s: u64| now + Duration::from_secs(s);
        for prompt in ["a", "b", "lost"] {
            owners.reserve(prompt, &zoe, 1, now).unwrap();
        }
        owners.taken("a", after(1));
        owners.taken("b", after(1));
        owners.settle(&queue(&[]), after(0));
        assert!(owners.over(&zoe).is_empty(), "asked before they were taken");
        owners.settle(&queue(&["b"]), after(2));
        assert_eq!(owners.over(&zoe), ["a"]);
        owners.settle(&queue(&[]), after(3));
        assert_eq!(owners.over(&zoe), ["b", "a"], "newest first; of the third nobody has said that it was taken");
        owners.settle(&queue(&["lost"]), after(301));
        owners.settle(&queue(&[]), after(302));
        assert_eq!(owners.over(&zoe), ["lost", "b", "a"]);
        owners.reserve("never", &zoe, 1, now).unwrap();
        owners.settle(&queue(&[]), after(300));
        assert!(owners.is_over("never") && owners.is_over("nobody's"));
    }

    #[test]
    fn a_profile_has_so_many_in_the_queue_and_takes_no_place_from_others() {
        let (zoe, mateo, mut owners, now) = (id("zoe"), id("mateo"), Owners::default(), Instant::now());
        owners.reserve("his", &mateo, 1, now).unwrap();
        let hers: Vec<String> = (0..WAITING_MAX).map(|n| n.to_string()).collect();
        hers.iter().for_each(|prompt| owners.reserve(prompt, &zoe, 1, now).unwrap());
        assert_eq!(owners.reserve("more", &zoe, 1, now), Err(Full::Many));
        assert_eq!(owners.reserve("long", &mateo, WAITING_BYTES, now), Err(Full::Long));
        hers.iter().for_each(|prompt| owners.taken(prompt, now));
        owners.settle(&queue(&["his"]), now + Duration::from_secs(1));
        for n in 0..=PROMPTS_MAX {
            owners.reserve(&format!("n{n}"), &zoe, 1, now).unwrap();
            owners.taken(&format!("n{n}"), now);
            owners.settle(&queue(&["his"]), now + Duration::from_secs(1));
        }
        assert!(owners.owns(&mateo, "his") && !owners.owns(&zoe, "0") && !owners.owns(&zoe, "n0") && owners.owns(&zoe, "n1"));
    }

    #[test]
    fn files_in_somebodys_folder_are_told_by_the_folder_alone() {
        let (zoe, mateo, mut owners) = (id("zoe"), id("mateo"), Owners::default());
        let file = |subfolder: &str| File { kind: Kind::Temp, subfolder: subfolder.into(), name: "x.png".into() };
        owners.made(&zoe, [file(""), file("@mateo"), file("@mateo/deep")]);
        assert!(owners.has(&zoe, &file("")) && !owners.has(&zoe, &file("@mateo")) && !owners.has(&mateo, &file("")));
        owners.made(&mateo, [file("")]);
        assert!(owners.has(&zoe, &file("")) && !owners.has(&mateo, &file("")), "it is hers already");
    }
}
