// The doors: show what is typed, count a wait down, fill a key from a link's fragment.

import { all, setText } from "./dom";
import { duration } from "./words";

/** "Show" beside a secret field. */
function startShow(): void {
  for (const button of all<HTMLButtonElement>("[data-show]")) {
    const field = document.getElementById(button.dataset.show ?? "");
    if (!(field instanceof HTMLInputElement)) continue;
    button.hidden = false;
    button.addEventListener("click", () => {
      const show = field.type === "password";
      field.type = show ? "text" : "password";
      button.ariaPressed = String(show);
      field.focus();
    });
    // A browser offers to keep the secret only of a password field.
    field.form?.addEventListener("submit", () => {
      field.type = "password";
    });
  }
}

/** Counts a wait down; the form opens again by itself at its end, with what was typed still there. */
function startWait(): void {
  for (const line of all<HTMLElement>("[data-wait]")) {
    const until = performance.now() + Number(line.dataset.wait) * 1000;
    const number = line.querySelector("[data-left]");
    const button = line.closest("form")?.querySelector<HTMLButtonElement>("button[type=submit]");
    const tick = (): void => {
      const left = (until - performance.now()) / 1000;
      if (button) button.disabled = left > 0;
      if (left <= 0) {
        line.hidden = true;
        return;
      }
      if (number) setText(number, duration(Math.max(1, Math.ceil(left))).replace(".0", ""));
      setTimeout(tick, 250);
    };
    tick();
  }
}

/** A sent form says so at once: the answer of a slow hash takes up to half a second. */
function startBusy(): void {
  for (const form of all<HTMLFormElement>("form[method=post]")) {
    form.addEventListener("submit", () => {
      const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
      if (button) setTimeout(() => button.setAttribute("aria-busy", "true"));
    });
  }
}

startShow();
startWait();
startBusy();
