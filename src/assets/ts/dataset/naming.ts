// Asking for a dataset's name and trigger word.

import { send } from "../api";
import { make } from "../dom";
import { ask, field } from "../ask";
import type { Dataset } from "./shapes";

/** Makes a dataset, or names one anew. */
export function askName(present: Dataset | null, done: (dataset: Dataset) => void): void {
  const name = make("input", {
    class: "input",
    id: "dataset-name",
    maxlength: 64,
    autocomplete: "off",
    autofocus: true,
    value: present?.name ?? "",
  });
  const trigger = make("input", {
    class: "input",
    id: "dataset-trigger",
    maxlength: 64,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    value: present?.trigger ?? "",
    "aria-describedby": "dataset-trigger-help",
  });
  const help =
    "A word that nothing else is called, such as “ohwx cat”: you use it in prompts to call the LoRA. It may stay empty. It is put " +
    "in front of every caption in an export, or where a caption says [trigger].";
  ask({
    title: present ? "Name and trigger word" : "New dataset",
    text: present ? "Captions here stay as they are; the trigger word is put in when you export." : "Pictures come next.",
    body: make("div", { class: "stack stack--wide" }, field("Name", name), field("Trigger word", trigger, help)),
    confirm: present ? "Save" : "Make the dataset",
    run: async () => {
      const body = { name: name.value, trigger: trigger.value };
      done(await send<Dataset>(present ? "PATCH" : "POST", present ? `/datasets/${present.id}` : "/datasets", body));
    },
  });
}
