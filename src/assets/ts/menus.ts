// Menus that fold out below their button. Knows no page.

import { all } from "./dom";

const started = new WeakSet<HTMLDetailsElement>();

/** A menu closes when the focus or a click goes elsewhere, and on Escape, which gives the focus back. */
export function startMenus(): void {
  for (const menu of all<HTMLDetailsElement>("details.menu")) {
    if (started.has(menu)) continue;
    started.add(menu);
    addEventListener("pointerdown", (e) => {
      if (menu.open && !menu.contains(e.target as Node)) menu.open = false;
    });
    menu.addEventListener("focusout", (e) => {
      if (e.relatedTarget && !menu.contains(e.relatedTarget as Node)) menu.open = false;
    });
    menu.addEventListener("keydown", (e) => {
      if (e.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary")?.focus();
      e.preventDefault();
    });
  }
}
