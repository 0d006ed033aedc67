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
  const act = async (): Promise<void> => {
    confirm.setAttribute("aria-busy", "true");
    confirm.disabled = true;
    try {
      await question.run();
      dialog.close();
    } catch (e) {
      // It may have been closed meanwhile, by Esc say: then there is nothing left to write into.
      if (!dialog.open) toast(wordsOf(e), { bad: true });
      setText(problem, wordsOf(e));
      problem.hidden = false;
    }
    confirm.removeAttribute("aria-busy");
    confirm.disabled = false;
  };
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    void act();
  });
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
