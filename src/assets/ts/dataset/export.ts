// A dataset for a trainer: which layout, downloaded or written to the workspace.

import { send } from "../api";
import { all, make, setText } from "../dom";
import { ask, field } from "../ask";
import type { Dataset } from "./shapes";

/** Captions are written as trainers read them; the words say how. */
function triggerWords(dataset: Dataset): string {
  if (dataset.trigger === "") return "Captions are written as they are: this dataset has no trigger word.";
  return `“${dataset.trigger}” is put in front of each caption that does not have it yet; where one says [trigger], it comes there.`;
}

export function askExport(dataset: Dataset): void {
  const radio = (value: string, word: string, about: string): HTMLElement => {
    const input = make("input", { type: "radio", name: "layout", value, id: `layout-${value}` });
    input.checked = value === "flat";
    return make("label", { class: "choice", for: input.id }, input, make("span", {}, make("b", {}, word), make("span", { class: "quiet" }, about)));
  };
  const flat = radio("flat", "AI-Toolkit", "Pictures with their .txt side by side. Also for OneTrainer and sd-scripts with a toml.");
  const kohya = radio("kohya", "kohya", "In one folder that tells repeats, trigger word and class.");
  const repeats = make("input", { class: "input", id: "repeats", type: "number", min: 1, max: 1000, value: 10 });
  const kind = make("input", { class: "input", id: "class", maxlength: 64, autocomplete: "off", placeholder: "cat, person, style", "aria-describedby": "class-help" });
  const name = make("p", { class: "meta mono wrap" });
  const more = make("div", { class: "fields", hidden: true }, field("Repeats", repeats), field("Class", kind, "What it is one of"), name);
  const workspace = make("button", { type: "button", class: "btn" }, "Write to the workspace");
  const chosen = (): string => all<HTMLInputElement>("input[name=layout]:checked", layouts)[0]?.value ?? "flat";
  const layouts = make("div", { class: "stack", role: "radiogroup", "aria-label": "Layout" }, flat, kohya);
  const draw = (): void => {
    more.hidden = chosen() !== "kohya";
    setText(name, `${repeats.value}_${[dataset.trigger, kind.value.trim()].filter(Boolean).join(" ") || "dataset"}/`);
  };
  for (const element of [layouts, repeats, kind]) element.addEventListener("input", draw);
  draw();
  const shape = (): Record<string, string | number> => {
    if (chosen() === "flat") return { layout: "flat" };
    return { layout: "kohya", repeats: Number(repeats.value), class: kind.value.trim() };
  };
  const empty = dataset.captioned < dataset.pictures ? ` ${dataset.pictures - dataset.captioned} of ${dataset.pictures} have no caption.` : "";
  ask({
    title: "Export",
    text: triggerWords(dataset) + empty,
    body: make(
      "div",
      { class: "stack stack--wide" },
      layouts,
      more,
      make("div", { class: "stack" }, make("div", {}, workspace), make("p", { class: "meta" }, "To datasets/ there, where tools of this studio find it. An earlier export of this dataset is replaced.")),
    ),
    confirm: "Download zip",
    run: async () => {
      const query = new URLSearchParams(Object.entries(shape()).map(([k, v]) => [k, String(v)]));
      const link = make("a", { href: `/api/v1/datasets/${dataset.id}/zip?${query}`, download: "", hidden: true });
      document.body.append(link);
      link.click();
      link.remove();
    },
    other: { button: workspace, run: () => send("POST", `/datasets/${dataset.id}/export`, shape()) },
  });
}
