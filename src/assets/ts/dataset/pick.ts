// Pictures out of the artist's own gallery into a dataset: his newest ones, to be ticked.

import { check } from "easel:icons";
import { get, send, wordsOf } from "../api";
import { icon, make, setText } from "../dom";
import { ask } from "../ask";
import { toast } from "../toasts";
import { kindOf, type Artifact } from "../types";
import { plural } from "../words";

/** Pictures that are asked for at a time, and added at a time. */
const PAGE = 60;
const AT_ONCE = 50;

interface Page {
  items: Artifact[];
  next?: string;
  total: number;
}

export function askPick(dataset: string, came: () => void): void {
  const chosen = new Set<string>();
  const tiles = make("ul", { class: "picks", "aria-label": "Your pictures, newest first" });
  const said = make("p", { class: "meta", role: "status" }, "Looking in your gallery");
  const more = make("button", { type: "button", class: "btn", hidden: true }, "Show older ones");
  const prompts = make("input", { type: "checkbox", id: "prompts", checked: true });
  let next: string | undefined;
  const count = (): void => setText(said, chosen.size === 0 ? "None chosen" : `${plural(chosen.size, "picture")} chosen`);
  const tile = (a: Artifact): HTMLLIElement => {
    const box = make("input", { type: "checkbox", "aria-label": a.prompt || "A picture without a prompt" });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(a.id);
      else chosen.delete(a.id);
      count();
    });
    return make("li", {}, make("label", {}, make("img", { src: a.thumb, alt: "", width: a.width, height: a.height, loading: "lazy" }), box, make("span", { class: "tick" }, icon(check))));
  };
  const load = async (): Promise<void> => {
    more.disabled = true;
    try {
      const page = await get<Page>(`/artifacts?limit=${PAGE}${next ? `&before=${next}` : ""}`);
      tiles.append(...page.items.filter((a) => kindOf(a) === "picture").map(tile));
      next = page.next;
      more.hidden = next === undefined || next === null;
      if (page.total === 0) setText(said, "Your gallery is empty. What you make in the studio appears there.");
      else count();
    } catch (e) {
      setText(said, wordsOf(e));
    }
    more.disabled = false;
  };
  more.addEventListener("click", () => void load());
  ask({
    title: "From the gallery",
    text: "The pictures are copied; those in the gallery stay.",
    body: make("div", { class: "stack" }, tiles, make("div", { class: "row between row--wrap" }, said, more), make("label", { class: "row quiet" }, prompts, "Their prompts become their captions")),
    confirm: "Add to the dataset",
    run: async () => {
      if (chosen.size === 0) throw new Error("Choose a picture first.");
      const ids = [...chosen];
      let [added, already] = [0, 0];
      for (let i = 0; i < ids.length; i += AT_ONCE) {
        const part = { ids: ids.slice(i, i + AT_ONCE), prompts: prompts.checked };
        const done = await send<{ added: number; already: number }>("POST", `/datasets/${dataset}/artifacts`, part);
        added += done.added;
        already += done.already;
      }
      came();
      toast(`${plural(added, "picture")} added${already > 0 ? `, ${already} there already` : ""}.`);
    },
  });
  void load();
}
