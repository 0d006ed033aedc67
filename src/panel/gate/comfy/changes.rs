//! What is done with what changes something: a prompt on its way into the queue, and edits of queue and history, as far as they
//! are the profile's own. What of a body goes on is `prompt.rs`.

use super::answers::{Call, No, as_told};
use super::graph::Sender;
use super::names::File;
use super::owners::Full;
use super::routes::Treatment;
use super::types::{self, Types};
use super::upstream::{Failure, Question};
use super::{Outcome, Refusal, Run, aside, gallery, prompt};
use crate::gate::link::Trouble;
use crate::gate::pages::own;
use crate::secrets::random_token;
use hyper::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Classes that are asked for one by one; all at once is less work than more of them.
const CLASSES_AT_ONCE: usize = 64;
/// So long ComfyUI may take to tell of the nodes in a graph. What it has told it is not asked again.
const NODES_TIME: Duration = Duration::from_secs(10);

impl Call<'_> {
    /// Lets a prompt of so many bytes into the queue.
    pub(super) async fn prompt(self, (body, length): (Value, usize)) -> Result<Outcome, No> {
        let random = random_token();
        let id = prompt::chosen_id(&body)?.unwrap_or_else(|| prompt::uuid(random.expose()));
        let client = self.owner.client(&random.expose()[..32]).unwrap_or_default();
        let place = prompt::Place { id: id.clone(), number: self.run.number(), client };
        let rules = self.guard.rules().await?;
        let graph = body.get("prompt").unwrap_or(&Value::Null);
        let types = match timeout(NODES_TIME, self.types(graph)).await {
            Ok(Ok(types)) => types,
            // An admin's are hardly looked at.
            _ if self.admin => Types::new(),
            Ok(Err(no)) => return Err(no),
            Err(_) => return Err(Failure::Slow.into()),
        };
        let (run, profile, owner, admin) = (self.run.clone(), self.profile.clone(), self.owner.clone(), self.admin);
        let written = aside(length, move || -> Result<String, Refusal> {
            let has = |file: &File| run.has(&profile, file);
            let sender = Sender { owner: &owner, has: &has, admin, rules: &rules, types: &types };
            Ok(prompt::prompt(&body, &place, &sender)?.to_string())
        });
        let written = written.await.ok_or_else(|| Refusal::new("It cannot be read.".into()))??;
        // Before it is sent, so that nothing that is told of it comes too early, and what it makes is fetched even when
        // nobody waits for the answer any more.
        self.reserve(&id, prompt::told_size(&written)).await?;
        gallery::watch(&self.run, self.guard.gallery.as_ref(), self.profile, &id, self.tool.address);
        let told = self.tool.ask(Question::json("/prompt", written)).await;
        match &told {
            Ok(told) if told.status.is_success() => self.run.owners().taken(&id, Instant::now()),
            // A refusal is no prompt, and neither is what was not even sent. Without an answer it may be one.
            Ok(_) | Err(Failure::Trouble(Trouble::Refused(_))) => forget(&self.run, &id),
            Err(_) => {}
        }
        Ok(Outcome::answer(as_told(told?)))
    }

    /// Takes a place in the queue.
    async fn reserve(&self, id: &str, bytes: usize) -> Result<(), No> {
        let reserve = || self.run.owners().reserve(id, self.profile, bytes, Instant::now());
        let mut reserved = reserve();
        if matches!(reserved, Err(Full::Many | Full::Long)) {
            // Some may have left the queue since it was asked for.
            self.run.queue(self.tool).await?;
            reserved = reserve();
        }
        reserved.map_err(|full| Refusal::new(full.why()).into())
    }

    /// What the nodes of a graph take, as ComfyUI tells it.
    async fn types(&self, graph: &Value) -> Result<Types, No> {
        let named = types::classes(graph);
        let known = self.run.known().of(&named);
        let missing = named.iter().filter(|class| !known.contains_key(*class)).cloned().collect();
        self.learn(missing).await?;
        let stale = types::stale(graph, &self.run.known().of(&named));
        self.learn(stale).await?;
        Ok(self.run.known().of(&named))
    }

    async fn learn(&self, classes: BTreeSet<String>) -> Result<(), No> {
        let all = ["/object_info".to_owned()];
        let one = |class: &String| super::address::Address::of(&["object_info", class]).text();
        let each: Vec<String> = classes.iter().map(one).collect();
        for target in if classes.len() > CLASSES_AT_ONCE { &all[..] } else { &each[..] } {
            let told = self.tool.ask(Question::get(target)).await?.json().await;
            match told {
                Ok(told) => self.run.known().learn(&told),
                // It has none of this name, or cannot say what it is: then it stays unknown.
                Err(Failure::Status(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    /// What changes something, as far as it is the profile's own.
    pub(super) async fn change(self, treatment: Treatment, body: &Value) -> Result<Outcome, No> {
        let owns = |id: &str| self.run.owns(self.profile, id);
        // What is in the history no more is asked for no more; what waits or runs stays somebody's.
        let mut gone = Vec::new();
        let question = match treatment {
            Treatment::Free => Some(("/free", prompt::free(body))),
            Treatment::Interrupt => {
                let own = self.run.queue(self.tool).await?.own(owns);
                let asked = body.get("prompt_id").filter(|id| !id.is_null());
                let id = own.running.into_iter().find(|id| asked.is_none_or(|asked| asked == id.as_str()));
                // Named, so that it is not the next one's turn if this one ends right now.
                id.map(|id| ("/interrupt", serde_json::json!({ "prompt_id": id })))
            }
            _ => {
                let edit = prompt::edit(body)?;
                let target = if treatment == Treatment::QueueEdit { "/queue" } else { "/history" };
                let mut ids: Vec<String> = edit.delete.into_iter().filter(|id| owns(id)).collect();
                if edit.clear && treatment == Treatment::QueueEdit {
                    ids.extend(self.run.queue(self.tool).await?.own(owns).pending);
                } else if treatment == Treatment::HistoryEdit {
                    self.run.queue(self.tool).await?;
                    let owners = self.run.owners();
                    ids.extend(if edit.clear { owners.over(self.profile) } else { Vec::new() });
                    gone.extend(ids.iter().filter(|id| owners.is_over(id)).cloned());
                }
                (!ids.is_empty()).then(|| (target, prompt::deletion(&ids)))
            }
        };
        if let Some((target, body)) = question {
            let told = self.tool.ask(Question::post(target, &body)).await?;
            if told.status.is_success() {
                gone.iter().for_each(|id| self.run.owners().release(id));
            }
            return Ok(Outcome::answer(as_told(told)));
        }
        // As ComfyUI answers where there was nothing to do.
        Ok(Outcome::answer(own(StatusCode::OK, "text/plain; charset=utf-8", "")))
    }
}

/// There is no such prompt.
fn forget(run: &Run, id: &str) {
    gallery::unwatch(run, id);
    run.owners().release(id);
}
