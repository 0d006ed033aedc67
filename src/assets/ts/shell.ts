// Every page behind the door: theme, menus, keys, undo.

import { all } from "./dom";
import { keys, startKeys } from "./keys";
import { startTheme } from "./theme";
import { undoable } from "./toasts";

/** A menu closes when the focus or a click goes elsewhere, and on Escape, which gives the focus back. */
function startMenus(): void {
  for (const menu of all<HTMLDetailsElement>("details.menu")) {
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

keys({
  group: "Anywhere",
  says: "Undo, as long as the message is there",
  keys: ["Ctrl+z"],
  run: () => {
    const action = undoable();
    if (!action) return false;
    action.run();
    return true;
  },
});
startKeys();
startTheme();
startMenus();
