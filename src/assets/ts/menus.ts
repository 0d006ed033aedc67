// Menus that fold out below their button. Knows no page.

import { all } from "./dom";

const open = (): HTMLDetailsElement[] => all<HTMLDetailsElement>("details.menu[open]");

/** A menu closes when the focus or a click goes elsewhere, and on Escape, which gives the focus back: every one, also those
 * that are made later. */
export function startMenus(): void {
  document.addEventListener("pointerdown", (e) => {
    for (const menu of open()) if (!menu.contains(e.target as Node)) menu.open = false;
  });
  document.addEventListener("focusout", (e) => {
    const to = e.relatedTarget as Node | null;
    for (const menu of open()) if (to && menu.contains(e.target as Node) && !menu.contains(to)) menu.open = false;
  });
  document.addEventListener("keydown", (e) => {
    const menu = e.key === "Escape" && !document.querySelector("dialog[open]") ? open().at(-1) : undefined;
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary")?.focus();
    e.preventDefault();
  });
}
