//! Room on the graphics cards: who holds their memory, whether a tool that wants some finds it, and asking idle holders to
//! let go. Decides by readings; how they are taken is the driver's.

use super::{ToolFolder, Tools, stand::ToolState};
use crate::gpus::{Gpu, Gpus};
use futures_util::future::join_all;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Manifests and people speak of decimal GB.
const GB: u64 = 1_000_000_000;
/// Who was asked to let go gets so long: a model of 20 GB is gone within a second or two.
const LETTING_GO: Duration = Duration::from_secs(10);
/// Time between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// A tool may want more than there is: a card with so much of its memory free, in hundredths, is as good as empty.
const EMPTY: u64 = 90;
/// Whoever is not known here.
const OTHERS: &str = "Other programs";
/// Less than that beside the named holders is the driver's own, in bytes.
const CRUMBS: u64 = 64_000_000;

/// Somebody who holds memory of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CardHolder)]
pub struct Holder {
    /// What people call it: "ComfyUI", "Studio engine", "Other programs".
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// It gives its memory back when it is asked to.
    pub lets_go: bool,
}

/// A graphics card and who holds its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Card {
    /// "NVIDIA H100 80GB HBM3".
    pub name: String,
    /// Bytes.
    pub total: u64,
    /// Bytes that nobody holds.
    pub free: u64,
    /// The largest first. In a container the driver may name none: then all that is held is other programs'.
    pub holders: Vec<Holder>,
}

impl Card {
    /// A card as the driver tells of it; `whose` knows to whom a process belongs, and whether that one lets go.
    fn of(gpu: &Gpu, whose: impl Fn(u32) -> Option<(String, bool)>) -> Card {
        let mut held: BTreeMap<(String, bool), u64> = BTreeMap::new();
        for (pid, bytes) in &gpu.holders {
            let who = whose(*pid).unwrap_or_else(others);
            *held.entry(who).or_default() += bytes;
        }
        let told: u64 = held.values().sum();
        let untold = gpu.memory_used.saturating_sub(told);
        if untold > CRUMBS {
            *held.entry(others()).or_default() += untold;
        }
        let mut holders: Vec<Holder> = held.into_iter().map(|((name, lets_go), bytes)| Holder { name, bytes, lets_go }).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.bytes));
        let free = gpu.memory_total.saturating_sub(gpu.memory_used);
        Card { name: gpu.name.clone(), total: gpu.memory_total, free, holders }
    }

    /// "ComfyUI holds 14.0 GB, Other programs hold 2.0 GB".
    fn told_holders(&self) -> Option<String> {
        let verb = |name: &str| if name == OTHERS { "hold" } else { "holds" };
        let held: Vec<String> = self.holders.iter().map(|h| format!("{} {} {}", h.name, verb(&h.name), gb(h.bytes))).collect();
        (!held.is_empty()).then(|| held.join(", "))
    }

    fn has_room(&self, wanted: u64) -> bool {
        self.free >= wanted.min(self.total / 100 * EMPTY)
    }
}

fn others() -> (String, bool) {
    (OTHERS.to_owned(), false)
}

/// Why a tool that wants so many GB finds no room, in a sentence. None: one of the cards has it, or none is known.
fn lacking(cards: &[Card], wanted_gb: u32) -> Option<String> {
    let wanted = u64::from(wanted_gb) * GB;
    let roomiest = cards.iter().max_by_key(|card| card.free)?;
    if cards.iter().any(|card| card.has_room(wanted)) {
        return None;
    }
    let holders = roomiest.told_holders().unwrap_or_else(|| "who holds the rest is not told here".to_owned());
    Some(format!(
        "It wants {wanted_gb} GB of the graphics card, and {} of {} are free: {holders}.",
        gb(roomiest.free),
        gb(roomiest.total)
    ))
}

fn gb(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / GB as f64)
}

/// Bytes that are free on all cards.
fn free(cards: &[Card]) -> u64 {
    cards.iter().map(|card| card.free).sum()
}

impl Tools {
    /// What asks the driver.
    pub(crate) fn gpus(&self) -> &Gpus {
        &self.0.parts.gpus
    }

    /// The graphics cards and who holds their memory; none where there is no card.
    pub async fn cards(&self) -> Vec<Card> {
        let gpus = Arc::clone(&self.0.parts.gpus);
        let (names, engines) = (self.processes(), self.0.parts.engines.processes());
        let lets_go = |name: &str| self.folders().iter().any(|f| f.spec.name == name && f.spec.release_vram.is_some());
        let mut known: BTreeMap<u32, (String, bool)> =
            names.into_iter().map(|(pid, name)| (pid, (name.clone(), lets_go(&name)))).collect();
        known.extend(engines.into_iter().map(|(pid, _)| (pid, ("Studio engine".to_owned(), true))));
        // A process belongs to whoever is nearest above it.
        let whose = move |pid: u32| {
            let line = std::iter::once(pid).chain(supervise::ancestors(pid));
            line.filter_map(|pid| known.get(&pid).cloned()).next()
        };
        let look = move || gpus.look().0.iter().map(|gpu| Card::of(gpu, &whose)).collect();
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Before a tool that wants a graphics card starts: where it finds no room, who holds some and can let go is asked to.
    /// Some: that was not enough; who holds what, in a sentence.
    pub(super) async fn make_room(&self, for_tool: &ToolFolder) -> Option<String> {
        let wanted = for_tool.spec.vram_gb;
        if wanted == 0 {
            return None;
        }
        let cards = self.cards().await;
        // Where nothing is known of the card, asking is all that can be done.
        if !cards.is_empty() {
            lacking(&cards, wanted)?;
        }
        self.ask_to_let_go().await;
        let asked = Instant::now();
        loop {
            let why = lacking(&self.cards().await, wanted)?;
            if asked.elapsed() > LETTING_GO {
                tracing::info!(tool = for_tool.spec.id.as_str(), "there is no room for it on the card");
                return Some(why);
            }
            sleep(LOOK).await;
        }
    }

    /// For a job whose card is full: has tools give theirs back, and waits until nothing more comes. Engines are not asked: each has
    /// a card of its own.
    pub(crate) async fn have_tools_let_go(&self) {
        let before = free(&self.cards().await);
        if !self.ask_tools().await {
            return;
        }
        let (asked, mut last) = (Instant::now(), before);
        loop {
            sleep(LOOK).await;
            let cards = self.cards().await;
            let now = free(&cards);
            // Some drivers tell nothing of their cards: then trying is all that can be done.
            if cards.is_empty() || (now > before && now <= last) || asked.elapsed() > LETTING_GO {
                return;
            }
            last = now;
        }
    }

    /// Who holds the cards, a sentence for each; none where nothing is known of them.
    pub(crate) async fn holders(&self) -> Option<String> {
        let told: Vec<String> =
            self.cards().await.iter().filter_map(|c| Some(format!("{}: {}.", c.name, c.told_holders()?))).collect();
        (!told.is_empty()).then(|| told.join(" "))
    }

    async fn ask_to_let_go(&self) {
        self.0.parts.engines.leave_gpus();
        self.ask_tools().await;
    }

    /// Asks every tool that runs and can let go, all at once. True: one of them agreed.
    async fn ask_tools(&self) -> bool {
        let others = self.list().await.unwrap_or_default();
        let asked = others.iter().map(async |other| {
            let (ToolState::Running { port, .. }, Some(how)) = (&other.state, &other.folder.spec.release_vram) else {
                return false;
            };
            let let_go = self.0.asker.release_vram(*port, how).await;
            tracing::info!(tool = other.folder.spec.id.as_str(), let_go, "asked to give the card's memory back");
            let_go
        });
        join_all(asked).await.contains(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(used: u64, holders: &[(u32, u64)]) -> Gpu {
        let holders = holders.iter().map(|(pid, gb)| (*pid, gb * GB)).collect();
        Gpu { name: "Card".into(), memory_used: used * GB, memory_total: 24 * GB, holders, ..Gpu::default() }
    }

    fn card(used: u64, holders: &[(u32, u64)]) -> Card {
        let whose = |pid| match pid {
            1 | 2 => Some(("ComfyUI".to_owned(), true)),
            3 => Some(("Studio engine".to_owned(), true)),
            _ => None,
        };
        Card::of(&gpu(used, holders), whose)
    }

    #[test]
    fn processes_of_one_holder_count_together_and_the_rest_is_others() {
        let card = card(20, &[(1, 3), (2, 4), (3, 9), (99, 1)]);
        let told: Vec<(&str, u64, bool)> = card.holders.iter().map(|h| (h.name.as_str(), h.bytes / GB, h.lets_go)).collect();
        assert_eq!(told, [("Studio engine", 9, true), ("ComfyUI", 7, true), ("Other programs", 4, false)]);
        assert_eq!(card.free, 4 * GB);
    }

    #[test]
    fn a_tool_that_finds_no_room_is_told_who_holds_what() {
        assert_eq!(lacking(&[], 12), None, "where no card is known, nobody is kept from starting");
        assert_eq!(lacking(&[card(12, &[(1, 12)])], 12), None);
        assert_eq!(lacking(&[card(20, &[]), card(0, &[])], 12), None, "one of two is enough");
        let why = lacking(&[card(20, &[(1, 14), (3, 6)])], 12).unwrap();
        assert_eq!(
            why,
            "It wants 12 GB of the graphics card, and 4.0 GB of 24.0 GB are free: ComfyUI holds 14.0 GB, Studio engine holds 6.0 GB."
        );
        assert!(lacking(&[card(20, &[])], 12).unwrap().contains("Other programs hold 20.0 GB"));
    }

    #[test]
    fn who_holds_a_card_is_told_in_a_sentence() {
        assert_eq!(card(20, &[(1, 14), (3, 6)]).told_holders().unwrap(), "ComfyUI holds 14.0 GB, Studio engine holds 6.0 GB");
        assert_eq!(card(0, &[]).told_holders(), None);
        assert_eq!(free(&[card(20, &[]), card(4, &[])]) / GB, 24);
    }

    #[test]
    fn a_card_that_is_too_small_is_enough_while_it_is_empty() {
        assert_eq!(lacking(&[card(1, &[])], 40), None);
        assert!(lacking(&[card(6, &[])], 40).is_some());
    }
}
