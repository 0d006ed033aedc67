// Looking at what the repository changed in a tool's scripts, before they run for the first time. A dialog.

import { ApiError, get, send, wordsOf } from "../api";
import { make, setText } from "../dom";
import { plural } from "../words";
import type { Tool } from "./card";

interface File {
  path: string;
  kind: "added" | "changed" | "removed";
  added: number;
  removed: number;
  /** Every line is one of the file, behind a space, + or -, or begins with @@ and says where the next ones are. */
  text: string;
  cut: boolean;
}
interface Unseen {
  fingerprint: string;
  commit: string;
  before: string | null;
  files: File[];
}

/** What would not be seen, or would turn the text around it, by its number: what is looked at must be what runs. */
function visible(text: string): string {
  return text.replace(/[^\P{C}\t]|[\u2028\u2029\u115f\u1160\u3164\uffa0]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** One line of a difference. None is left out, whatever it looks like. */
function line(text: string): HTMLElement {
  const kind = text.startsWith("+") ? "came" : text.startsWith("-") ? "went" : text.startsWith("@@") ? "place" : "";
  return make("span", { class: kind || null }, `${visible(text)}\n`);
}

function file(one: File): HTMLElement {
  const sum = [one.added > 0 ? `+${one.added}` : "", one.removed > 0 ? `−${one.removed}` : ""].filter(Boolean).join(" ");
  const head = make("summary", {}, make("b", { class: "mono" }, visible(one.path)), make("span", { class: "meta num" }, `${one.kind} ${sum}`.trim()));
  const body = make("pre", { class: "diff", tabindex: 0 });
  const lines = one.text.split("\n");
  // What comes after the last line's end is no line.
  if (lines.at(-1) === "") lines.pop();
  body.append(...lines.map(line));
  if (one.cut) body.append(make("span", { class: "place" }, "The rest is not shown; look in the repository.\n"));
  return make("details", { open: one.kind === "changed" || one.cut }, head, body);
}

/** Shows what changed; whether an admin let it run. */
export async function review(tool: Tool): Promise<boolean> {
  const said = make("p", { class: "quiet", role: "status" }, "Looking what changed");
  const problem = make("p", { class: "error", role: "alert", hidden: true });
  const files = make("div", { class: "diffs" });
  const close = make("button", { type: "button", class: "btn" }, "Not now");
  const accept = make("button", { type: "submit", class: "btn btn--main", disabled: true }, "Let them run");
  const form = make("form", { class: "stack stack--wide" }, said, files, problem, make("div", { class: "acts" }, close, accept));
  const title = make("h2", { id: "review-title" }, `New scripts of ${tool.name}`);
  const dialog = make("dialog", { class: "dialog dialog--wide review", "aria-labelledby": "review-title" }, title, form);
  let unseen: Unseen | null = null;
  let accepted = false;
  close.addEventListener("click", () => dialog.close());
  const fail = (e: unknown): void => {
    // Nothing is unseen any more: another admin was faster.
    if (e instanceof ApiError && e.status === 404) accepted = true;
    setText(problem, accepted ? "They were let run meanwhile." : wordsOf(e));
    problem.hidden = false;
  };
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (!unseen) return;
    accept.ariaBusy = "true";
    send("POST", `/tools/${tool.id}/scripts`, { fingerprint: unseen.fingerprint })
      .then(() => {
        accepted = true;
        dialog.close();
      })
      .catch(fail)
      .finally(() => (accept.ariaBusy = null));
  });
  document.body.append(dialog);
  dialog.showModal();
  const closed = new Promise<boolean>((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(accepted);
    });
  });
  try {
    unseen = await get<Unseen>(`/tools/${tool.id}/scripts`);
    const since = unseen.before ? `since ${unseen.before.slice(0, 10)}` : "all of them";
    setText(said, `${plural(unseen.files.length, "file")}, commit ${unseen.commit.slice(0, 10)}, ${since}. They run with the rights of the tool.`);
    files.replaceChildren(...unseen.files.map(file));
    accept.disabled = false;
  } catch (e) {
    said.hidden = true;
    fail(e);
  }
  return closed;
}
