// The page of one dataset: cards of pictures with captions, kept as the server has them; a second browser's changes come
// through the stream of events.

import { ApiError, get, request, send, wordsOf } from "./api";
import { ask, field } from "./ask";
import { byId, debounce, embedded, make, setText } from "./dom";
import { Bringing } from "./dataset/bring";
import { Sizes } from "./dataset/buckets";
import { Card } from "./dataset/card";
import { askExport } from "./dataset/export";
import { askModel } from "./dataset/model";
import { askName } from "./dataset/naming";
import { askPick } from "./dataset/pick";
import { askReplace, undo } from "./dataset/replace";
import type { Cut, Now, Picture } from "./dataset/shapes";
import { TaskStrip } from "./dataset/task";
import { listen } from "./events";
import { keys } from "./keys";
import { whileSeen } from "./live";
import { toast } from "./toasts";
import { bytes, plural } from "./words";

interface Boot extends Now {
  seq: number;
  vision: string | null;
  instruction: string;
  most_caption: number;
}

const boot = embedded<Boot>("boot");
let dataset = boot.dataset;
const id = dataset.id;
const list = byId("pictures");
const cards = new Map<string, Card>();
let cuts: Map<string, Cut> | null = null;
let onlyEmpty = false;
const strip = new TaskStrip(id);
const sizes = new Sizes(id, (found) => {
  cuts = found;
  for (const [key, card] of cards) card.showCut(cuts?.get(key) ?? null);
});

function drawFacts(): void {
  setText(byId("name"), dataset.name);
  const trigger = dataset.trigger === "" ? "No trigger word" : `Trigger word “${dataset.trigger}”`;
  const captioned = [...cards.values()].filter((c) => c.hasCaption).length;
  const left = cards.size - captioned;
  const captions = left === 0 ? "all with a caption" : `${captioned} with a caption`;
  const facts = cards.size === 0 ? [trigger] : [trigger, `${plural(cards.size, "picture")}, ${captions}`, bytes(dataset.bytes)];
  byId("facts").replaceChildren(...facts.flatMap((fact, i) => [make("span", {}, i + 1 < facts.length ? `${fact} ·` : fact), " "]));
  byId("none").hidden = cards.size > 0;
  byId("dbar").hidden = cards.size === 0;
  byId<HTMLButtonElement>("export").disabled = cards.size === 0;
  byId("undo").hidden = dataset.undo === 0;
  setText(byId("undo").lastElementChild as Element, `Bring back ${plural(dataset.undo, "caption")}`);
  setText(byId("only-empty"), onlyEmpty ? "Show all" : `${left} without a caption`);
  byId("only-empty").hidden = !onlyEmpty && left === 0;
  byId("all-captioned").hidden = !onlyEmpty || left > 0 || cards.size === 0;
  if (cards.size === 0) byId("buckets").hidden = true;
}

/** Cards that had no caption when the filter was set stay while one types into them. */
function filter(): void {
  for (const card of cards.values()) card.element.hidden = onlyEmpty && card.hasCaption;
}

function move(from: HTMLElement, by: 1 | -1): void {
  const shown = [...cards.values()].filter((c) => !c.element.hidden);
  const next = shown[shown.findIndex((c) => c.element === from) + by];
  next?.area.focus();
  next?.element.scrollIntoView({ block: "nearest" });
}

function put(picture: Picture): void {
  const known = cards.get(picture.id);
  if (known) {
    known.update(picture);
    return;
  }
  const card = new Card(picture, boot.most_caption, { remove, move, captioned: drawFacts });
  cards.set(picture.id, card);
  // Ids sort by when pictures came; nearly always it is the last.
  const after = [...cards.keys()].filter((key) => key > picture.id).sort()[0];
  list.insertBefore(card.element, after === undefined ? null : (cards.get(after)?.element ?? null));
  card.showCut(cuts?.get(picture.id) ?? null);
}

function drop(key: string): void {
  cards.get(key)?.element.remove();
  cards.delete(key);
}

function take(now: Now, whole: boolean): void {
  dataset = now.dataset;
  const before = cards.size;
  for (const picture of now.pictures) put(picture);
  if (whole) {
    const there = new Set(now.pictures.map((p) => p.id));
    for (const key of [...cards.keys()]) if (!there.has(key)) drop(key);
  }
  strip.draw(now.task);
  drawFacts();
  if (cards.size !== before) void sizes.ask();
}

/** Asks for what changed; for everything where the numbers do not fit, since what is gone is not told. */
async function look(): Promise<void> {
  try {
    const now = await get<Now>(`/datasets/${id}?after=${dataset.version}`);
    take(now, false);
    if (cards.size !== now.dataset.pictures) take(await get<Now>(`/datasets/${id}`), true);
  } catch (e) {
    if (!(e instanceof ApiError && e.status === 404)) throw e;
    location.assign("/datasets");
  }
}
const refresh = whileSeen(() => null, look);
const soon = debounce(250, refresh);

/** At once; for 30 seconds it can be brought back. */
function remove(picture: Picture): void {
  const card = cards.get(picture.id);
  if (!card) return;
  const hadFocus = card.element.contains(document.activeElement);
  const next = (card.element.nextElementSibling ?? card.element.previousElementSibling) as HTMLElement | null;
  drop(picture.id);
  drawFacts();
  if (hadFocus) next?.querySelector("textarea")?.focus();
  const removing = request(`/dataset-pictures/${picture.id}`, { method: "DELETE" });
  const back = (): void => {
    // What is not removed yet cannot be brought back; what was refused is told below.
    removing
      .catch(() => {})
      .then(() => request(`/dataset-pictures/${picture.id}/restore`, { method: "POST" }))
      .then(refresh)
      .catch((e: unknown) => toast(wordsOf(e), { bad: true }));
  };
  toast(`${picture.name} is removed.`, { action: { label: "Undo", run: back } });
  removing
    .then(() => sizes.ask())
    .catch((e: unknown) => {
      toast(wordsOf(e), { bad: true });
      refresh();
    });
}

function askDelete(): void {
  const held = cards.size === 0 ? "It is empty." : `${plural(cards.size, "picture")} and their captions are deleted for good, ${bytes(dataset.bytes)}.`;
  ask({
    title: `Delete ${dataset.name}?`,
    text: `${held} Exports in the workspace and pictures in your gallery stay.`,
    confirm: "Delete the dataset",
    keep: "Keep",
    bad: true,
    run: async () => {
      await send("DELETE", `/datasets/${id}`);
      location.assign("/datasets");
    },
  });
}

function askFolder(): void {
  const path = make("input", { class: "input mono", id: "path", autocomplete: "off", spellcheck: "false", autofocus: true, placeholder: "ai-toolkit/datasets/cats" });
  ask({
    title: "From a folder of the workspace",
    text: "Its PNG, JPEG and WebP files are copied, with the .txt beside each as its caption.",
    body: field("Path below the workspace", path),
    confirm: "Add the pictures",
    run: () => send("POST", `/datasets/${id}/folder`, { path: path.value.trim() }),
  });
}

function start(): void {
  const on = (button: string, run: () => void): void => document.getElementById(button)?.addEventListener("click", run);
  on("pick", () => askPick(id, soon));
  on("export", () => askExport(dataset));
  on("rename", () => askName(dataset, refresh));
  on("delete", askDelete);
  on("folder", askFolder);
  on("replace", () => askReplace(id));
  on("undo", () => void undo(id));
  on("model", () => askModel({ ...dataset, pictures: cards.size }, boot.vision, boot.instruction));
  on("only-empty", () => {
    onlyEmpty = !onlyEmpty;
    filter();
    drawFacts();
  });
  keys(
    { group: "Dataset", says: "Next, previous caption", keys: ["Ctrl+Enter", "Ctrl+Shift+Enter"] },
    { group: "Dataset", says: "Remove the picture of this caption", keys: ["Ctrl+Delete"] },
    { group: "Dataset", says: "Find and replace", keys: ["r"], run: () => askReplace(id) },
  );
  new Bringing(id, soon);
  addEventListener("pagehide", () => cards.forEach((card) => card.caption.leave()));
  listen(boot.seq, (event) => {
    if (event.type !== "dataset" || event.dataset !== id) return;
    if (event.version === null) return location.assign("/datasets");
    strip.draw(event.task);
    if (event.version > dataset.version) soon();
  });
}

take(boot, true);
start();
