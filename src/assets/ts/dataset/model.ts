// Captions by the vision model: what it is asked, and for which pictures.

import { send } from "../api";
import { make } from "../dom";
import { ask, field } from "../ask";
import { forget, recall, remember } from "../settings";
import { toast } from "../toasts";
import { plural } from "../words";
import type { Dataset } from "./shapes";

const KEPT = "caption-instruction";

export function askModel(dataset: Dataset, model: string | null, standing: string): void {
  if (model === null) {
    toast("No vision model is set up here. An admin does that on the Datasets page, in admin mode.");
    return;
  }
  const empty = dataset.pictures - dataset.captioned;
  const words = make("textarea", { id: "instruction", rows: 6, maxlength: 2000, "aria-describedby": "instruction-help" });
  words.value = recall(KEPT, standing);
  const choice = (value: string, word: string, on: boolean): HTMLElement => {
    const input = make("input", { type: "radio", name: "which", value, disabled: value === "empty" && empty === 0 });
    input.checked = on;
    return make("label", { class: "row" }, input, word);
  };
  const which = make(
    "div",
    { class: "stack", role: "radiogroup", "aria-label": "Which pictures" },
    choice("empty", `${plural(empty, "picture")} without a caption`, empty > 0),
    choice("all", `All ${plural(dataset.pictures, "picture")}; the captions of now can be brought back`, empty === 0),
  );
  ask({
    title: "Caption by a model",
    text: `The pictures are sent to ${model}, one after the other. Each caption appears as it comes; you can cancel at any time.`,
    body: make("div", { class: "stack stack--wide" }, which, field("What it is asked", words, "Kept in this browser for you. Empty means the standing words.")),
    confirm: "Start",
    run: async () => {
      const text = words.value.trim();
      if (text === "" || text === standing) forget(KEPT);
      else remember(KEPT, text);
      const all = which.querySelector<HTMLInputElement>("input:checked")?.value === "all";
      await send("POST", `/datasets/${dataset.id}/captions`, { instruction: text, all });
    },
  });
}
