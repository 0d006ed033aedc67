// The sets of files that a tool installs, as a list below the cards: what of each is there, and the way to the rest. Draws;
// asks nobody.

import { terminal } from "easel:icons";
import { icon, make } from "../dom";
import { count, running } from "../words";
import type { Act, Choice, Tool } from "./card";
import { Status, type Mark } from "../status";

const gigabytes = (gb: number): string => (gb > 0 ? `${gb.toFixed(1)} GB` : "");

function stateOf(set: Choice): [Mark, string] {
  const word = `${count(set.there)} of ${count(set.of)} here`;
  if (set.there >= set.of) return ["run", word];
  return [set.there > 0 ? "warn" : "off", word];
}

/** What becomes of the tool that brings the sets, where that is not rest. */
function tells(tool: Tool): [Mark, string] | null {
  switch (tool.state) {
    case "installing":
      return ["busy", tool.step ? `Getting ${tool.step.at} of ${tool.step.of}` : "Getting models"];
    case "interrupted":
      return ["warn", "Interrupted"];
    case "broken":
      return ["bad", "Stopped with an error"];
    default:
      return null;
  }
}

export class Sets {
  private drawn = "";
  private readonly status = new Status();
  private tool: Tool | undefined;

  constructor(
    private readonly section: HTMLElement,
    private readonly act: (act: Act, picks: string[]) => void,
  ) {}

  draw(tool: Tool): void {
    this.tool = tool;
    this.section.hidden = false;
    // Buttons are made anew only when something else is to be seen: one that is being pressed must not go.
    const wanted = JSON.stringify([tool.sets, tool.may, tool.state, tool.session, tool.line, tool.why]);
    if (wanted !== this.drawn) {
      this.drawn = wanted;
      const sets = tool.sets ?? [];
      const here = sets.filter((set) => set.there >= set.of).length;
      const head = make("h2", { id: "sets-title" }, tool.name);
      const sum = make("span", { class: "quiet num" }, `${count(here)} of ${count(sets.length)} sets here`);
      this.section.replaceChildren(
        make("div", { class: "row between row--wrap" }, head, make("div", { class: "row" }, sum, this.many(tool))),
        ...this.news(tool),
        make("ul", { class: "sets" }, ...sets.map((set) => this.row(tool, set))),
      );
    }
    this.tick();
  }

  /** The time behind the state's word. */
  tick(): void {
    const told = this.tool && tells(this.tool);
    if (!told) return;
    const [kind, word] = told;
    const began = this.tool?.state === "installing" ? this.tool.began : null;
    this.status.say(kind, began === null ? word : `${word}, ${running((performance.now() - began) / 1000)}`);
  }

  /** The button that asks for these says that it was pressed. */
  busy(picks: string[], on: boolean): void {
    for (const button of this.section.querySelectorAll<HTMLElement>("button[data-picks]"))
      if (button.dataset.picks === picks.join(" ")) button.ariaBusy = on ? "true" : null;
  }

  private news(tool: Tool): Node[] {
    if (!tells(tool)) return [];
    const why = [tool.why, tool.remedy].filter(Boolean).join(" ");
    const link = tool.session
      ? make("a", { class: "btn", href: `/sessions/${tool.session}` }, icon(terminal), tool.state === "installing" ? "Watch" : "Log")
      : null;
    const again = tool.may.install && tool.state !== "installing" ? this.button("Run again", "install", []) : null;
    const acts = make("div", { class: "row" }, again, link);
    const words = make("div", { class: "why" }, this.status.element);
    if (why) words.append(make("p", {}, why));
    if (tool.line) words.append(make("p", { class: "mono" }, tool.line));
    return [make("div", { class: "news" }, words, acts)];
  }

  /** Several at once. */
  private many(tool: Tool): Node | null {
    if (!tool.may.install || tool.state === "interrupted" || tool.state === "broken") return null;
    return this.button("Choose", "install", []);
  }

  private row(tool: Tool, set: Choice): HTMLLIElement {
    const asks = set.tokens.length > 0 ? `Asks for ${set.tokens.join(" and ")}` : "";
    const more = [set.about, set.licence, asks].filter(Boolean).join(" · ");
    const status = new Status();
    status.say(...stateOf(set));
    const missing = set.there < set.of;
    const get = tool.may.install && missing;
    return make(
      "li",
      {},
      make("div", {}, make("h3", {}, set.name), make("p", { class: "meta" }, more)),
      status.element,
      make("span", { class: "num quiet" }, gigabytes(set.gb)),
      get ? this.button(set.there > 0 ? "Get the rest" : "Get", "install", [set.id], set.name) : make("span", {}),
    );
  }

  private button(label: string, act: Act, picks: string[], of = ""): HTMLElement {
    const button = make("button", { type: "button", class: "btn", "data-picks": picks.join(" ") }, label, of ? make("span", { class: "vh" }, ` of ${of}`) : null);
    button.addEventListener("click", () => this.act(act, picks));
    return button;
  }
}
