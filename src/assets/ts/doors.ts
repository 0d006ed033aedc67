// The doors: show what is typed, count a wait down, fill a key from a link's fragment.

import { startBusy } from "./busy";
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
function startWait(root: ParentNode = document): void {
  for (const line of all<HTMLElement>("[data-wait]", root)) {
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
function startSending(): void {
  for (const form of all<HTMLFormElement>("form[method=post]")) {
    form.addEventListener("submit", () => form.querySelector("button[type=submit]")?.setAttribute("aria-busy", "true"));
  }
  // A page that the browser kept and shows again has sent nothing yet.
  addEventListener("pageshow", (e) => {
    if (!e.persisted) return;
    for (const button of all("[aria-busy]")) button.removeAttribute("aria-busy");
  });
}

/** A guess that was wrong leaves what was typed in its field: only the error of the page that came back is taken. */
function startGuesses(): void {
  for (const form of all<HTMLFormElement>("form[data-guess]")) {
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      void guess(form);
    });
  }
}

async function guess(form: HTMLFormElement): Promise<void> {
  const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  const answer = await fetch(form.action, { method: "POST", credentials: "same-origin", body }).catch(() => null);
  const text = await answer?.text().catch(() => "");
  const page = new DOMParser().parseFromString(text ?? "", "text/html");
  const error = page.querySelector(`form[action="${form.getAttribute("action") ?? ""}"] .error`);
  // Let in; or the door itself has changed meanwhile.
  if (answer?.ok && (answer.redirected || !error)) {
    location.assign(answer.url);
    return;
  }
  form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  for (const old of all(".error", form)) old.remove();
  // The first one may be a name for the browser's store of secrets, which nobody sees.
  const field = form.querySelector<HTMLInputElement>("input:not([hidden])");
  field?.setAttribute("aria-invalid", "true");
  field?.closest(".field")?.append(error ?? failure(answer, `${field.id}-error`));
  field?.focus();
  startWait(form);
}

/** No answer, or one that says nothing of the guess. */
function failure(answer: Response | null, id: string): HTMLElement {
  const line = document.createElement("p");
  line.className = "error";
  line.id = id;
  line.role = "alert";
  const why = answer ? `Easel answered ${answer.status}, and did not look at it.` : "Easel does not answer.";
  line.textContent = `${why} Try again in a moment.`;
  return line;
}

startShow();
startWait();
startBusy();
startSending();
startGuesses();

/** A link carries its ticket in the fragment, which no server and no log sees; here it becomes a form's field. */
function startTicket(): void {
  const field = document.getElementById("ticket");
  const ticket = location.hash.slice(1);
  if (!(field instanceof HTMLInputElement) || ticket === "") return;
  field.value = ticket;
  history.replaceState(null, "", location.pathname);
  const form = document.getElementById("ticket-form");
  if (form instanceof HTMLFormElement) form.submit();
}

interface Answer {
  next?: string;
  detail?: string;
  errors?: { field: string; message: string }[];
}

/** A form that stays on its page: what is wrong stands under its field, what was done above. */
function startJsonForms(): void {
  for (const form of all<HTMLFormElement>("form[data-json]")) {
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      void sendForm(form);
    });
  }
}

async function sendForm(form: HTMLFormElement): Promise<void> {
  const body = JSON.stringify(Object.fromEntries(new FormData(form)));
  const headers = { accept: "application/json", "content-type": "application/json" };
  const answer = await fetch(form.action, { method: "POST", credentials: "same-origin", headers, body }).catch(() => null);
  const said = answer
    ? ((await answer.json().catch(() => ({}))) as Answer)
    : { detail: "Easel does not answer. Nothing was changed." };
  form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  for (const line of all(".error", form)) line.hidden = true;
  for (const field of all("[aria-invalid]", form)) field.removeAttribute("aria-invalid");
  if (answer?.ok) {
    sessionStorage.setItem("easel.done", form.dataset.done ?? "");
    location.assign(said.next ?? location.href);
    return;
  }
  const errors = said.errors?.length ? said.errors : [{ field: "pin", message: said.detail ?? "It did not work. Try again." }];
  for (const { field, message } of errors) {
    const line = document.getElementById(`${field}-error`);
    const words = line?.querySelector("span");
    if (!line || !words) continue;
    words.textContent = message;
    line.hidden = false;
    document.getElementById(field)?.setAttribute("aria-invalid", "true");
    document.getElementById(field)?.focus();
  }
}

function tellDone(): void {
  const line = document.getElementById("done");
  const done = sessionStorage.getItem("easel.done");
  if (!line || !done) return;
  sessionStorage.removeItem("easel.done");
  const words = line.querySelector("span");
  if (words) words.textContent = done;
  line.hidden = false;
}

startTicket();
startJsonForms();
tellDone();
