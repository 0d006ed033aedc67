// What admin pages share: rows, dialogs, asking again and again while somebody looks. Knows no page.

import { ApiError, wordsOf } from "../api";
import { all, byId, make, setText } from "../dom";

const SVG = "http://www.w3.org/2000/svg";

function svg(tag: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A line from left to right over the whole width, from shares of 0 to 100. */
export function sparkline(values: number[], accent: boolean): SVGElement {
  const picture = svg("svg", { viewBox: "0 0 300 48", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (values.length < 2) return picture;
  const at = (value: number, i: number): string =>
    `${((i / (values.length - 1)) * 300).toFixed(1)} ${(46 - Math.min(100, Math.max(0, value)) * 0.44).toFixed(1)}`;
  const line = `M${values.map(at).join("L")}`;
  picture.append(svg("path", { class: "area", d: `${line}L300 48L0 48Z` }));
  picture.append(svg("path", { class: accent ? "stroke stroke--a" : "stroke", d: line }));
  return picture;
}

/** A cell of a table; its heading stands before it where the table becomes cards. */
export function cell(heading: string | null, className: string, ...children: (Node | string | null)[]): HTMLTableCellElement {
  return make("td", { class: className === "" ? null : className, "data-k": heading }, ...children);
}

/** Calls `ask` every `ms` while the page is seen, and at once when it is seen again. What it throws is told to `failed`. */
export function whileSeen(ms: number, ask: () => Promise<void>, failed: (words: string | null) => void): () => void {
  let timer = 0;
  let asking = false;
  let wanted = false;
  const next = async (): Promise<void> => {
    clearTimeout(timer);
    wanted = asking;
    if (document.visibilityState !== "visible" || asking) return;
    asking = true;
    try {
      await ask();
      failed(null);
    } catch (e) {
      // Whoever lost admin mode or the login is on the way to a door.
      if (!(e instanceof ApiError && (e.status === 401 || e.status === 403))) failed(wordsOf(e));
    }
    asking = false;
    // Something changed while the answer was on its way, which may not know of it.
    timer = setTimeout(() => void next(), wanted ? 0 : ms);
  };
  document.addEventListener("visibilitychange", () => void next());
  timer = setTimeout(() => void next(), ms);
  return () => void next();
}

/** The page's own mark of a lost connection. */
export function showLost(words: string | null): void {
  const lost = byId("lost");
  lost.hidden = words === null;
  if (words !== null) setText(lost.lastElementChild as Element, words);
}

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

/** Shows problems below the fields of a form, by their names; what has no field comes back as words. */
export function showProblems(form: HTMLFormElement, error: unknown): string | null {
  clearProblems(form);
  const rest: string[] = [];
  const fields = error instanceof ApiError ? error.fields : [];
  for (const { field, message } of fields) {
    const input = form.elements.namedItem(field);
    const line = input instanceof HTMLInputElement ? document.getElementById(`${input.id}-error`) : null;
    if (!(input instanceof HTMLInputElement) || !line) {
      rest.push(message);
      continue;
    }
    input.setAttribute("aria-invalid", "true");
    setText(line.lastElementChild as Element, message);
    line.hidden = false;
    if (!form.contains(document.activeElement) || document.activeElement instanceof HTMLButtonElement) input.focus();
  }
  if (fields.length === 0) return wordsOf(error);
  return rest.length > 0 ? rest.join(" ") : null;
}

export function clearProblems(form: HTMLFormElement): void {
  for (const input of all<HTMLInputElement>("[aria-invalid]", form)) input.removeAttribute("aria-invalid");
  for (const line of all(".error", form)) line.hidden = true;
}

/** A choice in a select, once. */
export function choice(select: HTMLSelectElement, value: string, word: string): void {
  if ([...select.options].some((o) => o.value === value)) return;
  select.append(make("option", { value }, word));
}

/** Replaces rows only where they changed, so that a menu that is open or a focus stays where it is. */
export class Rows<T> {
  private readonly known = new Map<string, { shown: string; row: HTMLElement }>();

  constructor(
    private readonly holder: HTMLElement,
    private readonly key: (item: T) => string,
    private readonly draw: (item: T) => HTMLElement,
  ) {}

  show(items: T[]): void {
    const keys = new Set(items.map(this.key));
    for (const [key, { row }] of this.known) {
      if (keys.has(key)) continue;
      row.remove();
      this.known.delete(key);
    }
    items.forEach((item, i) => {
      const key = this.key(item);
      const shown = JSON.stringify(item);
      const before = this.known.get(key);
      let row = before?.row;
      if (!row || before?.shown !== shown) {
        const fresh = this.draw(item);
        row?.replaceWith(fresh);
        row = fresh;
        this.known.set(key, { shown, row });
      }
      if (this.holder.children[i] !== row) this.holder.insertBefore(row, this.holder.children[i] ?? null);
    });
  }
}
