// Profiles: who is here, and what an admin changes about them, at once.

import { keyRound, link, lock, pencil, shield, shieldQuestionMark, userRoundX } from "easel:icons";
import { get, send, wordsOf } from "../api";
import { byId, embedded, icon, make } from "../dom";
import { toast } from "../toasts";
import { count, moment, plural } from "../words";
import { status } from "../status";
import { ask, field } from "../ask";
import { whileSeen } from "../live";
import { Rows } from "../rows";
import { cell, onSubmit } from "./parts";

interface User {
  id: string;
  name: string;
  initials: string;
  colour: number;
  role: "artist" | "admin";
  pending: string | null;
  has_pin: boolean;
  has_password: boolean;
  disabled: boolean;
  from_file: boolean;
  here: boolean;
  seen: string | null;
  pictures: number;
  jobs: number;
  oneself: boolean;
}
interface Users {
  users: User[];
  problems: string[];
}

const EVERY_MS = 5_000;
const roleWord = (role: string): string => (role === "admin" ? "Admin" : "Artist");
let again: () => void = () => {};

/** Changes something and shows how it is then. */
async function change(path: string, body: unknown, done: string, method = "POST"): Promise<void> {
  await send(method, path, body);
  toast(done);
  again();
}

/** The same from a button without a dialog. */
function act(path: string, body: unknown, done: string, method = "POST"): void {
  change(path, body, done, method).catch((e: unknown) => toast(wordsOf(e), { bad: true }));
}

function rename(user: User): void {
  const input = make("input", { class: "input", id: "rename", maxlength: 64, autocomplete: "off", autofocus: true, value: user.name });
  ask({
    title: `Rename ${user.name}`,
    text: `The id stays ${user.id}, and with it the folder of the pictures.`,
    body: field("Name", input),
    confirm: "Rename",
    run: () => change(`/users/${user.id}`, { name: input.value }, `${user.name} is now called ${input.value}.`, "PATCH"),
  });
}

function resetPin(user: User): void {
  const input = make("input", {
    class: "input",
    id: "reset-pin",
    type: "password",
    inputmode: "numeric",
    autocomplete: "new-password",
    autofocus: true,
    "aria-describedby": "reset-pin-help",
  });
  ask({
    title: `Reset ${user.name}'s PIN`,
    text: `${user.name} is logged out everywhere now. Tell the new PIN; it is shown nowhere.`,
    body: field("New PIN", input, "4 to 12 digits. Empty: no PIN from now on."),
    confirm: "Reset the PIN",
    run: () => {
      const pin = input.value === "" ? null : input.value;
      return change(`/users/${user.id}/pin`, { pin }, pin === null ? `${user.name} has no PIN any more.` : `${user.name} has a new PIN.`);
    },
  });
}

function setRole(user: User): void {
  const role = user.role === "admin" ? "artist" : "admin";
  const text =
    role === "admin"
      ? `${user.name} can then turn admin mode on, with a password set on the machine: easel user set-password ${user.id}`
      : `${user.name} leaves admin mode now, and cannot turn it on again.`;
  ask({
    title: role === "admin" ? `Make ${user.name} an admin?` : `Make ${user.name} an artist?`,
    text,
    confirm: role === "admin" ? `Make ${user.name} an admin` : `Make ${user.name} an artist`,
    run: () => change(`/users/${user.id}`, { role }, `${user.name} is an ${role}.`, "PATCH"),
  });
}

/** A link that logs in as this profile, once: shown here and nowhere else. */
async function showLink(user: User): Promise<void> {
  let address: string;
  try {
    const answer = await fetch(`/admin/link/${user.id}`, { method: "POST", credentials: "same-origin", headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error("The link could not be made. Load the page again.");
    address = ((await answer.json()) as { link: string }).link;
  } catch (e) {
    toast(wordsOf(e), { bad: true });
    return;
  }
  const input = make("input", { class: "input mono", id: "link", readonly: true, value: address });
  input.addEventListener("focus", () => input.select());
  ask({
    title: `A link for ${user.name}`,
    text: `It opens the studio as ${user.name}${user.has_pin ? ", after the PIN" : ""}. It works once, within 15 minutes.`,
    body: field("Link", input),
    confirm: "Copy the link",
    keep: "Close",
    run: async () => {
      input.select();
      await navigator.clipboard.writeText(address);
      toast("The link is copied.");
    },
  });
}

function disable(user: User): void {
  const jobs = user.jobs === 0 ? "" : ` ${user.jobs === 1 ? "The one job" : `The ${count(user.jobs)} jobs`} in the queue ${user.jobs === 1 ? "is" : "are"} cancelled.`;
  const pictures = user.pictures === 0 ? "" : ` ${plural(user.pictures, "picture")} ${user.pictures === 1 ? "stays" : "stay"}.`;
  ask({
    title: `Disable ${user.name}?`,
    text: `${user.name} is logged out now, and open pages close.${jobs}${pictures} You can enable the profile again.`,
    confirm: `Disable ${user.name}`,
    keep: "Keep",
    bad: true,
    run: () => change(`/users/${user.id}`, { disabled: true }, `${user.name} is disabled and logged out.`, "PATCH"),
  });
}

function menu(user: User): HTMLElement {
  if (user.disabled) {
    const button = make("button", { type: "button", class: "btn btn--ghost" }, "Enable", make("span", { class: "vh" }, ` ${user.name}`));
    button.addEventListener("click", () => act(`/users/${user.id}`, { disabled: false }, `${user.name} can be picked again.`, "PATCH"));
    return button;
  }
  const box = make("details", { class: "menu" }, make("summary", { class: "btn btn--ghost", "aria-label": `Change ${user.name}` }, "Change"));
  const entry = (picture: string, word: string, run: () => void): HTMLElement => {
    const button = make("button", { type: "button" }, icon(picture), word);
    button.addEventListener("click", () => {
      box.open = false;
      run();
    });
    return button;
  };
  const list = make("div", {}, entry(link, "Login link", () => void showLink(user)), entry(lock, "Reset PIN", () => resetPin(user)));
  if (!user.from_file) list.append(entry(pencil, "Rename", () => rename(user)));
  if (!user.oneself) {
    list.append(entry(shield, user.role === "admin" ? "Make an artist" : "Make an admin", () => setRole(user)));
    list.append(make("hr"), entry(userRoundX, "Disable…", () => disable(user)));
  }
  box.append(list);
  return box;
}

function row(user: User): HTMLElement {
  const state = user.disabled ? status("warn", "Disabled") : user.here ? status("run", "Here now") : status("off", "Away");
  const last = user.here ? "now" : user.seen === null ? "–" : moment(new Date(user.seen));
  const avatar = make("span", { class: `avatar c${user.colour}`, "aria-hidden": "true" }, user.initials);
  return make(
    "tr",
    {},
    cell(null, "", make("div", { class: "who" }, avatar, make("span", {}, make("b", {}, user.name), " ", make("span", { class: "meta" }, user.id)))),
    cell(null, "", state),
    cell("Role", "quiet", roleWord(user.role)),
    cell("PIN", "quiet", user.has_pin ? "set" : "not set"),
    cell("Pictures", "num quiet", count(user.pictures)),
    cell("Last here", "quiet", last),
    cell(null, "wide", make("div", { class: "row end" }, menu(user))),
  );
}

/** A role that users.toml raised waits for an admin. */
function raise(user: User): HTMLElement {
  const confirm = make("button", { type: "button", class: "btn" }, "Confirm", make("span", { class: "vh" }, `, ${user.name} becomes an admin`));
  const refuse = make("button", { type: "button", class: "btn btn--ghost" }, "Refuse", make("span", { class: "vh" }, `, ${user.name} stays an artist`));
  confirm.addEventListener("click", () => act(`/users/${user.id}/raise`, { confirm: true }, `${user.name} is an admin.`));
  refuse.addEventListener("click", () => act(`/users/${user.id}/raise`, { confirm: false }, `${user.name} stays an artist.`));
  return make(
    "div",
    { class: "notice notice--warn" },
    icon(shieldQuestionMark),
    make("p", {}, make("b", {}, `${user.name} is to become an admin.`), " users.toml asks for it. It waits for an admin."),
    make("span", { class: "row" }, confirm, refuse),
  );
}

function problem(words: string): HTMLElement {
  return make("div", { class: "notice notice--warn" }, icon(keyRound), make("p", {}, make("b", {}, "users.toml: "), words));
}

function startAdding(): void {
  const form = byId<HTMLFormElement>("add-form");
  onSubmit(form, async (data) => {
    const text = (name: string): string => String(data.get(name) ?? "");
    const body = { name: text("name"), role: text("role"), ...(text("id") ? { id: text("id") } : {}), ...(text("pin") ? { pin: text("pin") } : {}) };
    const made = await send<User>("POST", "/users", body);
    form.reset();
    toast(`${made.name} can be picked now.`);
    again();
  });
}

export function start(): void {
  const rows = new Rows<User>(byId("users"), (u) => u.id, row);
  const notices = new Rows<User | string>(byId("notices"), (n) => (typeof n === "string" ? n : n.id), (n) => (typeof n === "string" ? problem(n) : raise(n)));
  const show = ({ users, problems }: Users): void => {
    rows.show(users);
    notices.show([...users.filter((u) => u.pending === "admin" && !u.disabled), ...problems]);
    byId("notices").hidden = byId("notices").childElementCount === 0;
  };
  show(embedded<Users>("boot"));
  startAdding();
  again = whileSeen(EVERY_MS, async () => show(await get<Users>("/users")));
}
