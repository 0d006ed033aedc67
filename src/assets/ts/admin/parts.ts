// What admin pages share: cells, lines over time, problems below fields. Knows no page.

import { ApiError, wordsOf } from "../api";
import { all, make, setText } from "../dom";
import { toast } from "../toasts";

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

/** Shows problems below the fields of a form, by their names; what has no field comes back as words. */
function showProblems(form: HTMLFormElement, error: unknown): string | null {
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

/** A form that stays on its page: sent once at a time, and what is wrong stands below its fields. */
export function onSubmit(form: HTMLFormElement, run: (data: FormData) => Promise<void>): void {
  const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    clearProblems(form);
    if (button) button.ariaBusy = "true";
    run(new FormData(form))
      .catch((problem: unknown) => {
        const words = showProblems(form, problem);
        if (words !== null) toast(words, { bad: true });
      })
      .finally(() => button && (button.ariaBusy = null));
  });
}

function clearProblems(form: HTMLFormElement): void {
  for (const input of all<HTMLInputElement>("[aria-invalid]", form)) input.removeAttribute("aria-invalid");
  for (const line of all(".error", form)) line.hidden = true;
}

/** A choice in a select, once. */
export function choice(select: HTMLSelectElement, value: string, word: string): void {
  if ([...select.options].some((o) => o.value === value)) return;
  select.append(make("option", { value }, word));
}
