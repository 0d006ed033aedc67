// The page of one session: its screen, who types, what can be done with it. Closing it changes nothing.

import { get, send, wordsOf } from "./api";
import { byId, embedded, setAttribute, setText } from "./dom";
import { keys } from "./keys";
import { Link, type LinkState, type SessionView, type Word } from "./terminal/link";
import { Screen } from "./terminal/screen";
import { toast } from "./toasts";
import { bytes, running, duration, plural } from "./words";

interface Boot {
  session: SessionView;
  title: string;
}

const boot = embedded<Boot>("boot");
const { session, title } = boot;
const page = byId("main");
const screen = new Screen(byId("screen"), (typed) => link.type(typed), `Terminal of ${title}`);
let typing = false;
let ended = false;
// Until the first word tells its age.
let began = performance.now();

const link: Link = new Link(session.id, { bytes: (b, shown) => screen.write(b, shown), word: hear, state: linkState });

function status(kind: "busy" | "run" | "bad" | "warn" | "off", text: string, more = ""): void {
  // Pictures have the attribute, but no property of that name.
  for (const dot of page.querySelectorAll<SVGElement>("#state [data-kind]")) dot.toggleAttribute("hidden", dot.dataset.kind !== kind);
  byId("state").className = `status status--${kind}`;
  setText(byId("state-word"), text);
  setText(byId("state-more"), more);
}

function tick(): void {
  if (ended) return;
  if (page.dataset.link === "open") status("busy", `Running ${running((performance.now() - began) / 1000)}`);
  setText(byId("bytes"), bytes(link.at));
}

function hear(word: Word): void {
  switch (word.kind) {
    case "hello":
      began = performance.now() - word.age_s * 1000;
      break;
    case "gap":
      screen.note(`${bytes(word.dropped)} are not kept here${session.state === "running" ? "; the transcript may have them" : ""}`);
      break;
    case "size":
      screen.resize(word.cols, word.rows);
      setText(byId("size"), `${word.cols} × ${word.rows}`);
      break;
    case "room":
      room(word);
      break;
    case "refused":
      toast(word.why, { bad: true });
      break;
    case "ended":
      end(word);
      break;
  }
}

function room({ viewers, you, typist }: Extract<Word, { kind: "room" }>): void {
  const changed = typing !== you;
  typing = you;
  page.toggleAttribute("data-typing", you);
  // Before a transcript nobody sits.
  if (viewers === 0) setText(byId("viewers"), "");
  else setText(byId("viewers"), viewers === 1 ? "Only you are watching" : `${plural(viewers, "person", "people")} watching`);
  setText(byId("who-types"), you ? "You type" : typist ? `${typist} types` : "Watching only");
  setText(byId("keyboard-word"), you ? "Give back" : "Take the keyboard");
  byId("keyboard").ariaPressed = String(you);
  byId("touch-keys").hidden = !you;
  if (changed) {
    screen.listen(you);
    if (you) fit();
  }
}

function end({ code, signal, after_s }: Extract<Word, { kind: "ended" }>): void {
  ended = true;
  const how = code === null ? (signal === null ? "Its end is not known" : `Ended by signal ${signal}`) : `Ended with exit code ${code}`;
  const good = code === 0;
  status(good ? "run" : "bad", good ? "Done" : how, `after ${duration(after_s)}`);
  screen.note(good ? `exit code 0 after ${duration(after_s)}` : `${how.toLowerCase()} after ${duration(after_s)}`);
  screen.listen(false);
  page.removeAttribute("data-typing");
  byId("keyboard").hidden = true;
  byId("stop").hidden = true;
  byId("touch-keys").hidden = true;
  setText(byId("who-types"), "Transcript");
  setText(byId("foot"), "What is kept of it is in the transcript.");
  setText(byId("size"), "");
  setText(byId("bytes"), bytes(link.at));
  fit();
  setText(byId("said"), `${title}: ${good ? "done" : how}`);
  if (!good) void explain();
}

/** Why it failed, in the panel's words, as soon as the panel knows. */
async function explain(tries = 8): Promise<void> {
  if (!session.tool || tries === 0) return;
  type Told = { session: string | null; why: string | null; remedy: string | null };
  const tool = await get<Told>(`/tools/${session.tool}`).catch(() => null);
  if (!tool?.why || tool.session !== session.id) {
    setTimeout(() => void explain(tries - 1), 500);
    return;
  }
  setText(byId("why-what"), tool.why);
  setText(byId("why-remedy"), tool.remedy ?? "");
  byId("why").hidden = false;
}

function linkState(state: LinkState): void {
  page.dataset.link = state;
  if (ended) return;
  if (state === "lost") status("warn", "Connection lost, trying again", "the program goes on, nothing is missed");
  if (state === "refused") status("off", "Admin mode has ended", "turn it on again to go on watching; the program goes on");
  if (state === "gone") status("off", "This session is not there any more");
  if (state === "refused" || state === "gone") screen.listen(false);
  tick();
}

/** Who types, or looks alone, says how large the terminal is. What is over is everybody's own to fit. */
function fit(): void {
  const cells = screen.cells();
  if (!cells || cells.cols <= 1 || cells.rows <= 1) return;
  if (ended) screen.resize(cells.cols, cells.rows);
  else link.say({ kind: "resize", cols: cells.cols, rows: cells.rows });
}

function openFind(): boolean {
  byId("find-bar").hidden = false;
  byId<HTMLInputElement>("find-text").select();
  return true;
}

function closeFind(): void {
  byId("find-bar").hidden = true;
  screen.focus();
}

function find(back: boolean): void {
  const field = byId<HTMLInputElement>("find-text");
  const found = field.value === "" || screen.find(field.value, back);
  setText(byId("find-said"), found ? "" : "Not found");
  setAttribute(field, "aria-invalid", found ? null : "true");
}

async function stop(): Promise<void> {
  const button = byId("stop");
  button.ariaBusy = "true";
  try {
    await send("DELETE", `/sessions/${session.id}${button.dataset.force ? "?force=true" : ""}`);
    // A program that does not listen can be ended with all that came of it.
    setTimeout(() => {
      if (ended) return;
      button.dataset.force = "1";
      setText(button, "End it now");
      button.ariaBusy = null;
    }, 3_000);
  } catch (e) {
    button.ariaBusy = null;
    toast(wordsOf(e), { bad: true });
  }
}

const CODES: Record<string, string> = { esc: "\u001b", tab: "\t", up: "\u001b[A", down: "\u001b[B", ctrlc: "\u0003", ctrld: "\u0004" };

function start(): void {
  byId("keyboard").addEventListener("click", () => link.say({ kind: typing ? "give" : "take" }));
  byId("stop").addEventListener("click", () => void stop());
  byId("clear").addEventListener("click", () => screen.clear());
  byId("copy").addEventListener("click", () => {
    void navigator.clipboard.writeText(screen.text()).then(
      () => toast("Copied", { life: 2_000 }),
      () => toast("The browser does not allow copying here; take the transcript instead.", { bad: true }),
    );
  });
  byId("find").addEventListener("click", openFind);
  byId("find-close").addEventListener("click", closeFind);
  byId("find-next").addEventListener("click", () => find(false));
  byId("find-back").addEventListener("click", () => find(true));
  byId("find-text").addEventListener("keydown", (e) => {
    if (e.key === "Enter") find(e.shiftKey);
    else if (e.key === "Escape") closeFind();
    else return;
    e.preventDefault();
  });
  for (const button of page.querySelectorAll<HTMLElement>("[data-key]")) {
    button.addEventListener("click", () => {
      link.type(new TextEncoder().encode(CODES[button.dataset.key ?? ""] ?? ""));
      screen.focus();
    });
  }
  screen.intercept((e) => {
    if (!e.ctrlKey || !e.shiftKey || e.type !== "keydown") return true;
    if (e.code === "KeyF") openFind();
    else if (e.key === "Escape") byId("keyboard").focus();
    else return true;
    e.preventDefault();
    return false;
  });
  keys(
    { group: "Terminal", says: "Find", keys: ["Ctrl+Shift+F"], inFields: true, run: openFind },
    { group: "Terminal", says: "Leave the keyboard", keys: ["Ctrl+Shift+Escape"] },
  );
  screen.onResize(fit);
  setInterval(tick, 500);
  link.open();
}

declare global {
  interface Window {
    /** What stands on the screen, as text: for whoever reads it by script or by a reader of the screen. */
    easelScreen?: () => string;
  }
}
window.easelScreen = () => screen.text();
start();
