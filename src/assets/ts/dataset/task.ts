// What runs for a dataset, or ran last: how far, what was left out, and the end of it.

import { circleAlert, check } from "easel:icons";
import { send, wordsOf } from "../api";
import { byId, icon, make, setText, setVar } from "../dom";
import { toast } from "../toasts";
import type { DatasetTask } from "../types";
import { count, plural } from "../words";

const TITLES: Record<DatasetTask["kind"], { now: (what: string) => string; good: (n: number, what: string) => string }> = {
  unpack: { now: (what) => `Unpacking ${what}`, good: (n, what) => `${plural(n, "picture")} out of ${what} added` },
  folder: { now: (what) => `Adding pictures from ${what}`, good: (n, what) => `${plural(n, "picture")} from ${what} added` },
  caption: { now: (what) => `${what} writes captions`, good: (n, what) => `${plural(n, "caption")} by ${what}` },
  export: { now: (what) => `Writing ${what}`, good: (_, what) => `Written to ${what} in the workspace` },
};

function title(task: DatasetTask): string {
  const words = TITLES[task.kind];
  if (task.state === "running") return words.now(task.what);
  if (task.state === "done") return words.good(task.good, task.what);
  const kept = task.kind === "export" ? "Nothing was left half-written." : words.good(task.good, task.what) + ".";
  return `${task.state === "cancelled" ? "Cancelled" : "Stopped"}. ${kept}`;
}

export class TaskStrip {
  private readonly box = byId("task");
  /** The last task that somebody put away. */
  private closed: number;
  private shown = "";

  constructor(private readonly dataset: string) {
    this.closed = Number(sessionStorage.getItem(this.key) ?? 0);
  }

  private get key(): string {
    return `task-${this.dataset}`;
  }

  draw(task: DatasetTask | null): void {
    const text = JSON.stringify(task);
    if (text === this.shown) return;
    this.shown = text;
    // Numbers begin anew with the server.
    if (task?.state === "running" && task.number <= this.closed) this.closed = 0;
    const hidden = task === null || task.number <= this.closed;
    this.box.hidden = hidden;
    if (hidden || task === null) return;
    const running = task.state === "running";
    const mark = task.state === "done" ? icon(check) : task.state === "failed" ? icon(circleAlert) : null;
    const head = make("b", { role: "status" }, mark, make("span", { class: "wrap" }, title(task)));
    const act = make("button", { type: "button", class: "btn btn--ghost" }, running ? "Cancel" : "Close");
    act.addEventListener("click", () => (running ? void this.cancel(act) : this.close(task)));
    const bar = make("div", { class: "bar", hidden: !running }, make("i"));
    setVar(bar, "--p", task.total > 0 ? task.done / task.total : 0);
    const far = running ? `${count(task.done)} of ${count(task.total)}` : "";
    const words = [far, task.words].filter(Boolean).join(" · ");
    const line = make("p", { class: task.state === "failed" ? "error" : "meta", hidden: words === "" }, words);
    const skipped = task.skipped.map((s) => make("li", {}, `${s.why}: ${s.count === 1 ? s.first : `${s.first} and ${s.count - 1} more`}`));
    const list = make("ul", { class: "skipped meta", hidden: skipped.length === 0 }, ...skipped);
    const focused = this.box.contains(document.activeElement);
    this.box.classList.toggle("task--bad", task.state === "failed");
    this.box.replaceChildren(make("div", { class: "row between" }, head, act), bar, line, list);
    if (focused) act.focus();
  }

  private async cancel(button: HTMLButtonElement): Promise<void> {
    button.disabled = true;
    setText(button, "Cancelling");
    try {
      await send("DELETE", `/datasets/${this.dataset}/task`);
    } catch (e) {
      toast(wordsOf(e), { bad: true });
      button.disabled = false;
    }
  }

  private close(task: DatasetTask): void {
    this.closed = task.number;
    sessionStorage.setItem(this.key, String(task.number));
    this.box.hidden = true;
  }
}
