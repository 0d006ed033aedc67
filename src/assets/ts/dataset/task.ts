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
  /** The task that somebody cancels. */
  private cancelled = -1;
  private shown = "";
  private readonly mark = make("span", { class: "row" });
  private readonly title = make("span", { class: "wrap" });
  private readonly act = make("button", { type: "button", class: "btn btn--ghost" });
  private readonly bar = make("div", { class: "bar" }, make("i"));
  private readonly line = make("p");
  private readonly skipped = make("ul", { class: "skipped meta" });

  constructor(private readonly dataset: string) {
    this.closed = Number(sessionStorage.getItem(this.key) ?? 0);
    // Stays where it is: a reader of the screen hears what changes in it, and nothing of one that is made anew.
    const head = make("b", { role: "status" }, this.mark, this.title);
    this.box.replaceChildren(make("div", { class: "row between" }, head, this.act), this.bar, this.line, this.skipped);
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
    this.box.classList.toggle("task--bad", task.state === "failed");
    const picture = task.state === "done" ? check : task.state === "failed" ? circleAlert : null;
    this.mark.hidden = picture === null;
    this.mark.replaceChildren(...(picture === null ? [] : [icon(picture)]));
    setText(this.title, title(task));
    const cancelling = running && this.cancelled === task.number;
    setText(this.act, cancelling ? "Cancelling" : running ? "Cancel" : "Close");
    this.act.ariaBusy = cancelling ? "true" : null;
    this.act.onclick = () => (running ? void this.cancel(task) : this.close(task));
    this.bar.hidden = !running;
    setVar(this.bar, "--p", task.total > 0 ? task.done / task.total : 0);
    const far = running ? `${count(task.done)} of ${count(task.total)}` : "";
    const words = [far, task.words].filter(Boolean).join(" · ");
    this.line.className = task.state === "failed" ? "error" : "meta";
    this.line.hidden = words === "";
    setText(this.line, words);
    this.skipped.hidden = task.skipped.length === 0;
    this.skipped.replaceChildren(
      ...task.skipped.map((s) => make("li", {}, `${s.why}: ${s.count === 1 ? s.first : `${s.first} and ${s.count - 1} more`}`)),
    );
  }

  private async cancel(task: DatasetTask): Promise<void> {
    this.cancelled = task.number;
    // Not switched off: it would lose the focus.
    this.act.ariaBusy = "true";
    setText(this.act, "Cancelling");
    try {
      await send("DELETE", `/datasets/${this.dataset}/task`);
    } catch (e) {
      toast(wordsOf(e), { bad: true });
      this.cancelled = -1;
      this.act.ariaBusy = null;
      setText(this.act, "Cancel");
    }
  }

  private close(task: DatasetTask): void {
    this.closed = task.number;
    sessionStorage.setItem(this.key, String(task.number));
    this.box.hidden = true;
  }
}
