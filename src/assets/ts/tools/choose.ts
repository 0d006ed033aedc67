// Choosing what a tool installs: sets of models, or extra nodes, and the tokens that some of them ask for. A dialog; answers
// with what was chosen, or null.

import { get, wordsOf } from "../api";
import { make, setText } from "../dom";
import { plural } from "../words";
import type { Act, Choice, Tool } from "./card";

export interface Chosen {
  picks: string[];
  tokens: Record<string, string>;
}

function state(choice: Choice): string {
  if (choice.there >= choice.of) return "Here";
  const size = choice.missing_gb > 0 ? `${choice.missing_gb.toFixed(1)} GB` : "";
  const part = choice.there > 0 || choice.of > 1 ? `${choice.there} of ${choice.of} here` : "";
  return [part, size].filter(Boolean).join(", ") || "Not here";
}

function row(choice: Choice, i: number): HTMLLIElement {
  const whole = choice.there >= choice.of;
  const box = make("input", {
    type: "checkbox",
    id: `choice-${i}`,
    value: choice.id,
    "data-gb": choice.missing_gb,
    "data-tokens": choice.tokens.join(" "),
  });
  const tokens = choice.tokens.length > 0 ? `Needs ${choice.tokens.join(" and ")}.` : "";
  const more = [choice.about, choice.licence, tokens].filter(Boolean).join(" · ");
  return make(
    "li",
    { class: whole ? "whole" : null },
    box,
    make("label", { for: `choice-${i}` }, make("b", {}, choice.name), make("span", { class: "quiet" }, more)),
    make("span", { class: "meta num" }, state(choice)),
  );
}

/** A field for each token that is asked for now. What was typed into one stays while it is there. */
class Tokens {
  readonly element = make("div", { class: "tokens" });
  private readonly fields = new Map<string, HTMLInputElement>();

  ask(names: Set<string>): void {
    for (const [name, field] of this.fields) {
      if (names.has(name)) continue;
      field.parentElement?.remove();
      this.fields.delete(name);
    }
    for (const name of names) {
      if (this.fields.has(name)) continue;
      const field = make("input", { class: "input", type: "password", id: `token-${name}`, autocomplete: "off", maxlength: 512 });
      const label = make("label", { for: `token-${name}` }, `${name}, used for this run and not kept`);
      this.fields.set(name, field);
      this.element.append(make("div", { class: "field" }, label, field));
    }
  }

  /** What was typed. An empty field is asked for again by the script, in its terminal. */
  typed(): Record<string, string> {
    const typed = [...this.fields].map(([name, field]): [string, string] => [name, field.value.trim()]);
    return Object.fromEntries(typed.filter(([, value]) => value !== ""));
  }
}

/** Lets somebody choose; null: they changed their mind. What runs comes with everything unless told otherwise; `already` are
 * chosen from the beginning. */
export async function choose(tool: Tool, act: Act, already: string[] = []): Promise<Chosen | null> {
  const list = make("ul", { class: "choices" }, make("li", { class: "quiet" }, "Looking what is there"));
  const said = make("p", { class: "meta num", role: "status" });
  const tokens = new Tokens();
  const cancel = make("button", { type: "button", class: "btn" }, "Cancel");
  const go = make("button", { type: "submit", class: "btn btn--main", disabled: true }, act === "update" ? "Update" : "Install");
  const every = make("button", { type: "button", class: "btn btn--ghost" }, "Choose all");
  const filter = make("input", { class: "input", type: "search", placeholder: "Filter", "aria-label": "Filter", autocomplete: "off" });
  const form = make("form", { method: "dialog" });
  const acts = make("div", { class: "acts" }, every, cancel, go);
  form.append(make("h2", { id: "choose-title" }, tool.name), filter, list, said, tokens.element, acts);
  const dialog = make("dialog", { class: "dialog dialog--wide chooser", "aria-labelledby": "choose-title" }, form);
  const shown = (): HTMLInputElement[] => [...list.querySelectorAll<HTMLInputElement>("li:not([hidden]) input")];
  const chosen = (): HTMLInputElement[] => [...list.querySelectorAll<HTMLInputElement>("input:checked")];
  const all = (): boolean => shown().every((box) => box.checked);
  const count = (): void => {
    const boxes = chosen();
    const gb = boxes.reduce((sum, box) => sum + Number(box.dataset.gb ?? 0), 0);
    const size = gb > 0 ? `, ${gb.toFixed(1)} GB to download` : "";
    setText(said, boxes.length === 0 ? "Nothing is chosen" : `${plural(boxes.length, "chosen", "chosen")}${size}`);
    setText(every, all() ? "Choose none" : "Choose all");
    tokens.ask(new Set(boxes.flatMap((box) => (box.dataset.tokens ?? "").split(" ").filter(Boolean))));
    go.disabled = boxes.length === 0;
  };
  list.addEventListener("change", count);
  every.addEventListener("click", () => {
    const on = !all();
    for (const box of shown()) box.checked = on;
    count();
  });
  filter.addEventListener("input", () => {
    const words = filter.value.trim().toLowerCase();
    for (const li of list.children) (li as HTMLElement).hidden = !(li.textContent ?? "").toLowerCase().includes(words);
    count();
  });
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    dialog.close("go");
  });
  document.body.append(dialog);
  dialog.showModal();
  const closed = new Promise<Chosen | null>((resolve) => {
    dialog.addEventListener("close", () => {
      const picks = chosen().map((box) => box.value);
      const answer = dialog.returnValue === "go" ? { picks, tokens: tokens.typed() } : null;
      dialog.remove();
      resolve(answer);
    });
  });
  try {
    const { items } = await get<{ items: Choice[] }>(`/tools/${tool.id}/choices`);
    list.replaceChildren(...items.map(row));
    for (const box of shown()) box.checked = tool.runs || already.includes(box.value);
    count();
  } catch (e) {
    list.replaceChildren(make("li", { class: "error" }, wordsOf(e)));
  }
  return closed;
}
