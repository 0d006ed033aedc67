//! What is done with what changes something: a prompt on its way into the queue, and edits of queue and history, as far as they
//! are the profile's own. What of a body goes on is `prompt.rs`.

use super::answers::{Call, No, as_told};
use super::graph::Sender;
use super::names::File;
use super::routes::Treatment;
use super::upstream::Question;
use super::{Outcome, Refusal, gallery, lists, prompt};
use crate::gate::pages::own;
use crate::secrets::random_token;
use hyper::StatusCode;
use serde_json::Value;

impl Call<'_> {
    /// Lets a prompt into the queue.
    pub(super) async fn prompt(self, body: Value) -> Result<Outcome, No> {
        let random = random_token();
        let id = prompt::chosen_id(&body)?.unwrap_or_else(|| prompt::uuid(random.expose()));
        let client = self.owner.client(&random.expose()[..32]).unwrap_or_default();
        let place = prompt::Place { id: id.clone(), number: self.run.number(), client };
        let has = |file: &File| self.run.has(self.profile, file);
        let written = prompt::prompt(&body, &place, &Sender { owner: &self.owner, has: &has, admin: self.admin })?;
        // Before it is sent, so that nothing that is told of it comes too early.
        if !self.run.owners().reserve(&id, self.profile) {
            return Err(Refusal::new("There is a prompt with this prompt_id; leave it away to get one.".into()).into());
        }
        let told = self.tool.ask(Question::post("/prompt", &written)).await;
        match &told {
            Ok(told) if told.status.is_success() => {
                if let Some(gallery) = &self.guard.gallery {
                    gallery::watch(&self.run, gallery, self.profile, &id, self.tool.address);
                }
            }
            // A refusal is no prompt. Without an answer it may be one.
            Ok(_) => self.run.owners().release(&id),
            Err(_) => {}
        }
        Ok(Outcome::answer(as_told(told?)))
    }

    /// What changes something, as far as it is the profile's own.
    pub(super) async fn change(self, treatment: Treatment, body: &Value) -> Result<Outcome, No> {
        let owns = |id: &str| self.run.owns(self.profile, id);
        let question = match treatment {
            Treatment::Free => Some(("/free", prompt::free(body))),
            Treatment::Interrupt => {
                let queue = self.run.queue(self.tool).await?;
                let mut running = lists::ids(&queue, "queue_running", owns).into_iter();
                let asked = body.get("prompt_id").filter(|id| !id.is_null());
                let id = running.find(|id| asked.is_none_or(|asked| asked == id.as_str()));
                // Named, so that it is not the next one's turn if this one ends right now.
                id.map(|id| ("/interrupt", serde_json::json!({ "prompt_id": id })))
            }
            _ => {
                let edit = prompt::edit(body)?;
                let target = if treatment == Treatment::QueueEdit { "/queue" } else { "/history" };
                let mut ids: Vec<String> = edit.delete.into_iter().filter(|id| owns(id)).collect();
                if edit.clear && treatment == Treatment::QueueEdit {
                    let queue = self.run.queue(self.tool).await?;
                    ids.extend(lists::ids(&queue, "queue_pending", owns));
                } else if edit.clear {
                    ids.extend(self.run.owners().of(self.profile));
                }
                (!ids.is_empty()).then(|| (target, prompt::deletion(&ids)))
            }
        };
        if let Some((target, body)) = question {
            let told = self.tool.ask(Question::post(target, &body)).await?;
            return Ok(Outcome::answer(as_told(told)));
        }
        // As ComfyUI answers where there was nothing to do.
        Ok(Outcome::answer(own(StatusCode::OK, "text/plain; charset=utf-8", "")))
    }
}
