// The keyboard: pages register what their keys do, `?` lists them. Single letters work only outside fields and can
// be switched off.

import { byId, make } from "./dom";
import { toast } from "./toasts";

export interface Key {
  /** As `KeyboardEvent.key`, with modifiers in the order Ctrl, Alt, Shift: "Ctrl+Enter", "g", "Shift+X". */
  keys: string[];
  group: string;
  says: string;
  /** Answers false to leave the key to the browser. */
  run?: (event: KeyboardEvent) => boolean | void;
  /** Also while the caret is in a field. */
  inFields?: boolean;
  /** Only then, and then before the keys of the page. */
  when?: () => boolean;
  /** Runs again and again while it is held, as arrows do. */
  repeats?: boolean;
}

const registered: Key[] = [];
const singleKeys = (): boolean => document.body.dataset.noShortcuts === undefined;
let prefix: { key: string; until: number } | null = null;
/** What was pressed last, where it ran something. */
let ran: Key | null = null;
const PREFIX_MS = 1500;

export function keys(...list: Key[]): void {
  registered.push(...list);
}

const isField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    target.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=range], [type=button])"));

export function nameOf(event: KeyboardEvent): string {
  const bare = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
  const parts = [
    event.ctrlKey || event.metaKey ? "Ctrl" : "",
    event.altKey ? "Alt" : "",
    event.shiftKey && (!bare || /^[A-Z]$/.test(event.key)) ? "Shift" : "",
  ];
  const key = event.altKey && /^Key[A-Z]$/.test(event.code) ? event.code.slice(3).toLowerCase() : event.key;
  return [...parts.filter(Boolean), key].join("+");
}

function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  // Held, a key is pressed once: a job is submitted, a picture deleted, once.
  if (event.repeat && !event.key.startsWith("Arrow") && !ran?.repeats) {
    if (ran) event.preventDefault();
    return;
  }
  ran = null;
  const field = isField(event.target);
  const inDialog = document.querySelector("dialog[open]") !== null;
  let name = nameOf(event);
  if (!field && prefix && prefix.until > event.timeStamp) name = `${prefix.key} ${name}`;
  prefix = null;
  const single = !/^(Ctrl|Alt)\+/.test(name) && name !== "Escape" && !name.includes("Arrow");
  if (single && (field || !singleKeys()) && name !== "?") {
    if (field) return;
    if (!["Enter", "Delete", " "].includes(name)) return;
  }
  if (inDialog && name !== "?") return;
  if (!field && name === "g") prefix = { key: "g", until: event.timeStamp + PREFIX_MS };
  const first = registered.filter((key) => key.when?.());
  for (const key of [...first, ...registered.filter((key) => !key.when)]) {
    if (!key.run || !key.keys.includes(name) || (field && !key.inFields)) continue;
    if (key.run(event) !== false) {
      event.preventDefault();
      ran = key;
      return;
    }
  }
}

/** How a key is written in the list: "Ctrl+ArrowUp" is "Ctrl ↑". */
function written(name: string): string {
  const names: Record<string, string> = {
    ArrowUp: "↑",
    ArrowDown: "↓",
    ArrowLeft: "←",
    ArrowRight: "→",
    Delete: "Del",
    Escape: "Esc",
    " ": "Space",
  };
  return name
    .split(/[+ ](?=.)/)
    .map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(" ");
}

/** Kept with the profile. */
function setSingleKeys(on: boolean): void {
  document.body.toggleAttribute("data-no-shortcuts", !on);
  const body = new URLSearchParams(on ? { shortcuts: "on" } : {});
  const headers = { accept: "application/json" };
  fetch("/profile/shortcuts", { method: "POST", credentials: "same-origin", headers, body })
    .then((answer) => answer.ok)
    .catch(() => false)
    .then((kept) => kept || toast("It is so on this page, but could not be kept.", { bad: true }));
}

export function listKeys(): void {
  document.querySelector("dialog.keylist")?.remove();
  const groups = new Map<string, Key[]>();
  for (const key of registered) groups.set(key.group, [...(groups.get(key.group) ?? []), key]);
  const list = make("div", { class: "keys" });
  for (const [group, entries] of groups) {
    const rows = entries.map((k) =>
      make(
        "div",
        {},
        make("dt", {}, k.says),
        make("dd", {}, ...k.keys.flatMap((n, i) => [i ? " " : "", make("kbd", {}, written(n))])),
      ),
    );
    list.append(make("section", {}, make("h3", {}, group), make("dl", {}, ...rows)));
  }
  const toggle = make("input", { type: "checkbox", id: "single-keys" });
  toggle.checked = singleKeys();
  toggle.addEventListener("change", () => setSingleKeys(toggle.checked));
  const close = make("button", { type: "button", class: "btn", autofocus: true }, "Close");
  const dialog = make(
    "dialog",
    { class: "dialog dialog--wide keylist", "aria-labelledby": "keylist-title" },
    make("h2", { id: "keylist-title" }, "Keyboard shortcuts"),
    list,
    make(
      "div",
      { class: "acts between" },
      make("label", { class: "row quiet" }, toggle, "Single letters work outside fields"),
      close,
    ),
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  // A click beside the list closes it: there is no Esc on a phone.
  dialog.addEventListener("click", (e) => {
    if (e.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
}

export function startKeys(): void {
  keys(
    { group: "Anywhere", says: "Studio", keys: ["g s"], run: () => location.assign("/studio") },
    { group: "Anywhere", says: "Gallery", keys: ["g g"], run: () => location.assign("/gallery") },
    { group: "Anywhere", says: "Datasets", keys: ["g d"], run: () => location.assign("/datasets") },
    { group: "Anywhere", says: "Tools", keys: ["g t"], run: () => location.assign("/tools") },
    { group: "Anywhere", says: "This list", keys: ["?"], run: listKeys },
  );
  addEventListener("keydown", press);
  if (document.querySelector("[data-keys]"))
    for (const b of document.querySelectorAll("[data-keys]")) b.addEventListener("click", listKeys);
}

/** Moves the focus to a field and selects what is in it. */
export function goTo(id: string): void {
  const field = byId<HTMLInputElement>(id);
  field.focus();
  field.select();
}
