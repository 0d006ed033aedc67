// One tool as a card: state line, why below it, actions at the bottom. Knows words; asks nobody.

import {
  arrowUpFromLine,
  arrowUpRight,
  brainCircuit,
  ellipsis,
  hardDriveDownload,
  history,
  layoutGrid,
  notebookText,
  play,
  puzzle,
  rotateCcw,
  scrollText,
  terminal,
  undo2,
  workflow,
} from "easel:icons";
import { icon, make, setText, setVar } from "../dom";
import { count, running } from "../words";
import { Status, type Mark } from "../status";

export interface Tool {
  id: string;
  name: string;
  about: string;
  state: "absent" | "interrupted" | "installing" | "stopped" | "no-room" | "starting" | "running" | "stopping" | "broken";
  version: string | null;
  earlier: string | null;
  by: string | null;
  own: boolean;
  /** Since when it has stood so: ms of this page's own time, which no clock that is wrong shifts. */
  began: number | null;
  unseen: boolean;
  why: string | null;
  remedy: string | null;
  line: string | null;
  step: { at: number; of: number; what: string } | null;
  session: string | null;
  admits: "everyone" | "starter" | "admins";
  runs: boolean;
  choices: boolean;
  sets?: Choice[];
  there: number | null;
  there_of: number | null;
  may: Record<"open" | "start" | "stop" | "install" | "update" | "go_back" | "reinstall" | "watch" | "accept", boolean>;
}

/** What can be chosen of a tool's choices. */
export interface Choice {
  id: string;
  name: string;
  about: string;
  licence: string | null;
  there: number;
  of: number;
  gb: number;
  missing_gb: number;
  tokens: string[];
}

export type Act = "review" | "open" | "start" | "stop" | "install" | "update" | "go-back" | "reinstall";

const MARKS: Record<string, string> = {
  comfy: workflow,
  "ai-toolkit": brainCircuit,
  "swarm-ui": layoutGrid,
  jupyter: notebookText,
  "custom-nodes": puzzle,
  models: hardDriveDownload,
};
/** Nothing is done with it, and nobody has seen its scripts. */
const waits = (tool: Tool): boolean => tool.unseen && ["absent", "interrupted", "stopped", "no-room", "broken"].includes(tool.state);

/** How a state is shown: its dot and its word; a time is put behind it. */
function stateOf(tool: Tool): [Mark, string] {
  if (waits(tool)) return ["warn", "Scripts changed"];
  switch (tool.state) {
    case "absent":
      return ["off", tool.there ? "Installed" : "Not installed"];
    case "interrupted":
      return ["warn", "Interrupted"];
    case "installing":
      return ["busy", tool.step ? `Installing, step ${tool.step.at} of ${tool.step.of}` : "Installing"];
    case "stopped":
      return ["off", tool.runs ? "Stopped" : "Installed"];
    case "no-room":
      return ["warn", "No room"];
    case "starting":
      return ["busy", "Starting"];
    case "running":
      return ["run", "Running"];
    case "stopping":
      return ["busy", "Stopping"];
    case "broken":
      return ["bad", "Broken"];
  }
}

/** How much of what can be chosen is there. */
function there({ there, there_of }: Tool): string {
  return there === null || there_of === null ? "" : `${count(there)} of ${count(there_of)} here.`;
}

/** The sentence below the state. */
function sentence(tool: Tool): string {
  if (waits(tool)) {
    const who = tool.may.accept ? "Look at them before they run." : "An admin looks at them before they run.";
    return `They came with the repository. ${who}`;
  }
  if (tool.why) return `${tool.why} ${tool.remedy ?? ""}`.trim();
  switch (tool.state) {
    case "absent":
      if (tool.there !== null) return there(tool);
      return tool.may.install ? "Installing it takes a few minutes." : "An admin can install it.";
    case "interrupted":
    case "broken":
      return "An admin can see why and mend it.";
    case "installing":
      return tool.line ? "" : tool.by ? `${tool.by} is changing it.` : "It is being changed.";
    case "stopped":
      if (!tool.runs) return there(tool) || (tool.version ? `Version ${tool.version}.` : "");
      return tool.may.start ? `Ready to start${tool.version ? `, version ${tool.version}` : ""}.` : "For admins: it can run any code.";
    case "starting":
      return tool.line ? "" : "It takes a moment until it answers.";
    case "running":
      if (tool.own) return "Started by you.";
      return tool.admits === "starter" ? `In use by ${tool.by ?? "somebody"}.` : `Started by ${tool.by ?? "somebody"}.`;
    case "no-room":
      return "The graphics card is full.";
    case "stopping":
      return "It gets a moment to put things away.";
  }
}

export class Card {
  readonly element: HTMLLIElement;
  tool: Tool;
  private readonly status = new Status();
  private readonly why: HTMLElement;
  private readonly line: HTMLElement;
  private readonly bar: HTMLElement;
  private readonly footer: HTMLElement;
  private drawn = "";

  constructor(
    tool: Tool,
    private readonly act: (act: Act) => void,
  ) {
    this.tool = tool;
    this.why = make("p");
    this.line = make("p", { class: "mono" });
    this.bar = make("div", { class: "bar", role: "progressbar", "aria-label": `${tool.name}, progress` }, make("i"));
    this.footer = make("footer");
    const badge = tool.admits === "admins" && tool.runs ? make("span", { class: "badge" }, "Admins") : null;
    this.element = make(
      "li",
      { class: "card tool", "data-tool": tool.id },
      make(
        "header",
        {},
        make("span", { class: "mark" }, icon(MARKS[tool.id] ?? terminal)),
        make("div", {}, make("h2", {}, tool.name), make("p", {}, tool.about)),
        badge,
      ),
      make("div", { class: "why" }, this.status.element, this.why, this.line, this.bar),
      this.footer,
    );
  }

  draw(tool: Tool): void {
    this.tool = tool;
    this.element.dataset.state = tool.state;
    setText(this.why, sentence(tool));
    this.why.hidden = sentence(tool) === "";
    setText(this.line, tool.step && tool.state === "installing" ? `${tool.step.what}: ${tool.line ?? ""}` : (tool.line ?? ""));
    this.line.hidden = !tool.line;
    const { step } = tool;
    this.bar.hidden = !step || tool.state !== "installing";
    if (step) {
      const share = (step.at - 1) / step.of;
      setVar(this.bar.firstElementChild as HTMLElement, "--p", share.toFixed(3));
      this.bar.ariaValueNow = String(Math.round(share * 100));
    }
    this.tick();
    // Buttons are made anew only when others are needed: one that is being pressed must not go.
    const wanted = JSON.stringify([tool.may, tool.state, tool.session, tool.own, tool.earlier, tool.unseen]);
    if (wanted !== this.drawn) {
      this.drawn = wanted;
      this.footer.replaceChildren(...this.actions());
    }
  }

  /** The time behind the state's word. */
  tick(): void {
    const { began, state } = this.tool;
    const [kind, word] = stateOf(this.tool);
    const counts = began !== null && (state === "running" || state === "starting" || state === "installing");
    this.status.say(kind, counts ? `${word} ${running((performance.now() - began) / 1000)}` : word);
  }

  busy(act: Act, on: boolean): void {
    const button = this.footer.querySelector<HTMLElement>(`[data-act="${act}"]`);
    if (button) button.ariaBusy = on ? "true" : null;
  }

  private button(act: Act, label: string, kind = "", glyph: string | null = null, after: string | null = null): HTMLElement {
    const button = make(
      "button",
      { type: "button", class: `btn ${kind}`, "data-act": act },
      glyph ? icon(glyph) : null,
      label,
      make("span", { class: "vh" }, ` ${this.tool.name}`),
      after ? icon(after) : null,
    );
    button.addEventListener("click", () => this.act(act));
    return button;
  }

  private actions(): Node[] {
    const { may, state, session } = this.tool;
    const out: Node[] = [];
    const moving = state === "installing" || state === "starting";
    if (may.accept && waits(this.tool)) out.push(this.button("review", "Look", "btn--main"));
    if (may.open) out.push(this.button("open", "Open", "btn--main", null, arrowUpRight));
    if (may.start) {
      const again = state === "broken" || state === "no-room";
      out.push(this.button("start", again ? "Try again" : "Start", "", again ? null : play));
    }
    const again = this.again();
    if (again) out.push(this.button(again, "Run again"));
    else if (may.install) out.push(this.button("install", this.tool.choices ? "Choose" : "Install"));
    if (session && moving) out.push(this.link(`/sessions/${session}`, "Watch", "btn", terminal));
    if (may.stop) out.push(this.button("stop", "Stop"));
    if (session && state === "broken") out.push(this.link(`/sessions/${session}`, "Log", "btn btn--ghost", null));
    if (out.length === 0 && state !== "stopping") out.push(make("span", { class: "meta" }, this.nothing()));
    const menu = this.menu();
    if (menu) out.push(menu);
    return out;
  }

  /** What goes on with a change that was not finished: that change. */
  private again(): Act | null {
    const { may, state } = this.tool;
    if (state !== "interrupted" && state !== "broken") return null;
    if (may.install) return "install";
    if (may.update) return "update";
    return may.reinstall ? "reinstall" : null;
  }

  private nothing(): string {
    const { state, admits } = this.tool;
    if (state === "running" && admits === "starter") return "It is free when they stop it.";
    return "";
  }

  private link(href: string, label: string, kind: string, glyph: string | null): HTMLElement {
    const vh = make("span", { class: "vh" }, ` of ${this.tool.name}`);
    return make("a", { class: kind, href }, glyph ? icon(glyph) : null, label, vh);
  }

  /** What admins need seldom. */
  private menu(): HTMLElement | null {
    const { may, session, state, name } = this.tool;
    const entries: Node[] = [];
    const entry = (act: Act, glyph: string, label: string): void => {
      const button = make("button", { type: "button", "data-act": act }, icon(glyph), label);
      button.addEventListener("click", () => this.act(act));
      entries.push(button);
    };
    const again = this.again();
    if (may.update && again !== "update") entry("update", arrowUpFromLine, "Update");
    if (may.go_back) entry("go-back", undo2, `Go back to version ${this.tool.earlier ?? ""}`);
    if (may.reinstall && again !== "reinstall") entry("reinstall", rotateCcw, "Reinstall, keep models and outputs");
    if (session && state === "running") {
      if (entries.length > 0) entries.push(make("hr"));
      entries.push(make("a", { href: `/sessions/${session}` }, icon(scrollText), "Log"));
    }
    if (may.install || may.update || may.watch) {
      entries.push(make("a", { href: `/sessions?tool=${this.tool.id}` }, icon(history), "Earlier sessions"));
    }
    if (entries.length === 0) return null;
    const summary = make("summary", { class: "btn btn--ghost btn--icon", "aria-label": `More for ${name}` }, icon(ellipsis));
    return make("details", { class: "menu", "data-menu": true }, summary, make("div", {}, ...entries));
  }
}
