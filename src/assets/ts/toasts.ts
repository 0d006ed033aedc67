// One short message at a time, with at most one thing to do. Stays while it is hovered or focused.

import { triangleAlert, x } from "easel:icons";
import { icon, make } from "./dom";

const LIFE_MS = 10_000;
/** Said of a script that did not come. */
export const NOT_LOADED = "A part of this page did not load. Load the page again.";

interface Action {
  label: string;
  run: () => void;
}

let dismiss: () => void = () => {};
let pending: Action | null = null;

/** What Ctrl Z undoes while its toast is there. */
export const undoable = (): Action | null => pending;

export function toast(text: string, options: { action?: Action; bad?: boolean; life?: number } = {}): void {
  dismiss();
  const holder = document.getElementById("toasts");
  if (!holder) return;
  const { action } = options;
  const close = make("button", { type: "button", class: "btn btn--ghost btn--icon", "aria-label": "Close" }, icon(x));
  const button = action ? make("button", { type: "button", class: "btn btn--ghost" }, action.label) : null;
  const box = make(
    "div",
    { class: "toast", role: options.bad ? "alert" : null },
    options.bad ? icon(triangleAlert) : null,
    make("span", {}, text),
    button,
    close,
  );
  let timer = 0;
  const remove = (): void => {
    clearTimeout(timer);
    box.remove();
    if (pending === mine) pending = null;
  };
  const start = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => (box.matches(":hover, :focus-within") ? start() : remove()), options.life ?? LIFE_MS);
  };
  const act = (): void => {
    remove();
    action?.run();
  };
  button?.addEventListener("click", act);
  close.addEventListener("click", remove);
  const mine = action ? { label: action.label, run: act } : null;
  pending = mine;
  holder.replaceChildren(box);
  dismiss = remove;
  start();
}
