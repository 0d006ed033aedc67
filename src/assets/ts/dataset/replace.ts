// Find and replace over all captions: what would change is shown while one types, and can be taken back afterwards.

import { send, wordsOf } from "../api";
import { debounce, make, setText } from "../dom";
import { ask, field } from "../ask";
import { toast } from "../toasts";
import { plural } from "../words";

interface Replacing {
  captions: number;
  places: number;
  too_long: number;
  examples: { before: string; after: string }[];
  kept: number;
}

/** Takes the last change of many captions back. */
export async function undo(dataset: string): Promise<void> {
  try {
    const { captions, kept } = await send<Replacing>("POST", `/datasets/${dataset}/undo`);
    const rest = kept > 0 ? ` ${plural(kept, "caption")} edited since ${kept === 1 ? "stays" : "stay"}.` : "";
    toast(`${plural(captions, "caption")} ${captions === 1 ? "is" : "are"} as before.${rest}`);
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  }
}

export function askReplace(dataset: string): void {
  const input = (id: string, more: Record<string, boolean> = {}): HTMLInputElement =>
    make("input", { class: "input", id, maxlength: 500, autocomplete: "off", spellcheck: "false", ...more });
  const find = input("find", { autofocus: true });
  const into = input("with");
  const tick = (id: string, word: string): [HTMLInputElement, HTMLElement] => {
    const box = make("input", { type: "checkbox", id });
    return [box, make("label", { class: "row quiet" }, box, word)];
  };
  const [matchCase, caseLabel] = tick("match-case", "Match upper and lower case");
  const [whole, wholeLabel] = tick("whole-words", "Whole words only");
  const said = make("p", { class: "quiet", role: "status" }, "Nothing is looked for yet.");
  const examples = make("ul", { class: "examples" });
  const body = (preview: boolean): object => ({
    find: find.value,
    with: into.value,
    match_case: matchCase.checked,
    whole_words: whole.checked,
    preview,
  });
  let turn = 0;
  const look = async (): Promise<void> => {
    const mine = (turn += 1);
    if (find.value === "") {
      setText(said, "Nothing is looked for yet.");
      examples.replaceChildren();
      return;
    }
    try {
      const p = await send<Replacing>("POST", `/datasets/${dataset}/replace`, body(true));
      if (mine !== turn) return;
      const long = p.too_long > 0 ? ` ${plural(p.too_long, "caption")} would become too long.` : "";
      setText(said, p.captions === 0 ? "No caption changes." : `${plural(p.captions, "caption")} change${p.captions === 1 ? "s" : ""}, in ${plural(p.places, "place")}.${long}`);
      examples.replaceChildren(...p.examples.map(({ before, after }) => make("li", {}, make("del", {}, before), make("ins", {}, after))));
    } catch (e) {
      if (mine === turn) setText(said, wordsOf(e));
    }
  };
  const soon = debounce(250, () => void look());
  for (const element of [find, into, matchCase, whole]) element.addEventListener("input", soon);
  ask({
    title: "Find and replace",
    text: "In all captions of this dataset. The last replacement can be taken back.",
    body: make("div", { class: "stack stack--wide" }, field("Find", find), field("Replace with", into), make("div", { class: "stack" }, caseLabel, wholeLabel), said, examples),
    confirm: "Replace in all captions",
    run: async () => {
      const { captions } = await send<Replacing>("POST", `/datasets/${dataset}/replace`, body(false));
      const words = captions === 0 ? "No caption has it; nothing changed." : `${plural(captions, "caption")} changed.`;
      toast(words, captions === 0 ? {} : { action: { label: "Undo", run: () => void undo(dataset) } });
    },
  });
}
