// A question in a dialog: what is asked, fields where there are some, and what happens on yes. Knows no page.

import { wordsOf } from "./api";
import { make, setText } from "./dom";
import { toast } from "./toasts";

interface Question {
  title: string;
  text: string;
  /** Fields between the text and the buttons. */
  body?: Node;
  confirm: string;
  /** A red button: it cannot be undone, or hits others. */
  bad?: boolean;
  keep?: string;
  run: () => Promise<void>;
  /** Another answer: a button in the body, which closes the dialog as yes does. */
  other?: { button: HTMLButtonElement; run: () => Promise<void> };
}

/** A dialog that closes when what it asks is done; what goes wrong is said in it. The focus is on the safe button. */
export function ask(question: Question): void {
  const keep = make("button", { type: "button", class: "btn", autofocus: !question.body }, question.keep ?? "Cancel");
  const kind = question.bad ? "btn btn--confirm" : "btn btn--main";
  const confirm = make("button", { type: "submit", class: kind }, question.confirm);
  const problem = make("p", { class: "error", role: "alert", hidden: true });
  const form = make(
    "form",
    { class: "stack stack--wide", novalidate: true },
    make("p", { class: "quiet" }, question.text),
    question.body ?? null,
    problem,
    make("div", { class: "acts" }, keep, confirm),
  );
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "question" }, make("h2", { id: "question" }, question.title), form);
  let busy = false;
  const act = async (button: HTMLButtonElement, run: () => Promise<void>): Promise<void> => {
    if (busy) return;
    busy = true;
    // Not switched off: it would lose the focus.
    button.ariaBusy = "true";
    // What is said again is heard again.
    problem.hidden = true;
    setText(problem, "");
    try {
      await run();
      dialog.close();
    } catch (e) {
      // It may have been closed meanwhile, by Esc say: then there is nothing left to write into.
      if (!dialog.open) toast(wordsOf(e), { bad: true });
      setText(problem, wordsOf(e));
      problem.hidden = false;
    }
    button.ariaBusy = null;
    busy = false;
  };
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    void act(confirm, question.run);
  });
  const { other } = question;
  other?.button.addEventListener("click", () => void act(other.button, other.run));
  keep.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** A labelled field with a line of help below it; what is typed into may stand in a box of its own. */
export function field(label: string, box: HTMLElement, help?: string): HTMLElement {
  const id = box.id || (box.querySelector("select")?.id ?? "");
  return make(
    "div",
    { class: "field" },
    make("label", { for: id }, label),
    box,
    help ? make("p", { class: "meta", id: `${id}-help` }, help) : null,
  );
}
