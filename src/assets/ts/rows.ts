// Rows of a list or table that is drawn again and again. Knows no page and no row.

import { all } from "./dom";

const CONTROLS = "a, button, summary, input, select";
/** What is the same control in a row that is drawn anew. */
const nameOf = (control: Element): string => `${control.tagName} ${control.getAttribute("aria-label") ?? control.textContent}`;

/** Replaces rows only where they changed. One that is pressed or has a menu open stays until the next time, or the press would
 * be lost; a focus goes on in the fresh one. */
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
      const row = this.row(item);
      if (this.holder.children[i] !== row) this.holder.insertBefore(row, this.holder.children[i] ?? null);
    });
  }

  private row(item: T): HTMLElement {
    const key = this.key(item);
    const shown = JSON.stringify(item);
    const before = this.known.get(key);
    if (before && (before.shown === shown || before.row.matches(":active, :has(details.menu[open])"))) return before.row;
    const row = this.draw(item);
    this.known.set(key, { shown, row });
    if (before) replace(before.row, row);
    return row;
  }
}

function replace(before: HTMLElement, row: HTMLElement): void {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(row);
  if (focused) all<HTMLElement>(CONTROLS, row).find((control) => nameOf(control) === nameOf(focused))?.focus();
}
