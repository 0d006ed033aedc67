// The gallery: search, rows, selection, keyboard, zip and delete with undo.

import { ApiError, send, wordsOf } from "./api";
import { byId, debounce, embedded, make, setText } from "./dom";
import { listen } from "./events";
import { Grid } from "./gallery/grid";
import { startHover } from "./gallery/hover";
import { Source } from "./gallery/source";
import { goTo, keys } from "./keys";
import { deletePictures, offerUndo } from "./pictures";
import { recall, remember } from "./settings";
import { startDrag } from "./studio/drop";
import { toast } from "./toasts";
import type { Artifact } from "./types";
import { bytes, count, hour, month, plural } from "./words";

interface Boot {
  seq: number | null;
  total: number;
  items: Artifact[];
}

const boot = embedded<Boot>("boot");
const source = new Source(boot.items);
const selected = new Set<string>();
const box = byId("gallery");
const search = byId<HTMLInputElement>("search");
const modelSelect = byId<HTMLSelectElement>("by-model");
const monthSelect = byId<HTMLSelectElement>("by-month");
const heights = byId<HTMLInputElement>("row-height");
const grid = new Grid(box, byId("tiles"), {
  get entries() {
    return source.entries;
  },
  alt: (index) => source.alt(index),
  artifact: (id) => source.artifact(id),
  chosen: (id) => selected.has(id),
});
let selecting = false;
let anchor = 0;

// ── What is shown ──
const filter = () => ({ q: search.value.trim(), model: modelSelect.value });
const filtered = (): boolean => filter().q !== "" || filter().model !== "";

/** `total` is the whole gallery's, for "1,204 pictures searched". */
let total = boot.total;
function show(): void {
  const none = source.entries.length === 0;
  box.hidden = none;
  byId("empty").hidden = !(none && !filtered());
  byId("no-match").hidden = !(none && filtered());
  byId("failed").hidden = true;
  const { q } = filter();
  setText(byId("no-match-title"), q ? `No prompt has “${q}”` : "No picture of this model");
  setText(byId("no-match-text"), `${plural(total, "picture")} searched.`);
  setText(
    byId("count"),
    filtered() ? `${count(source.entries.length)} of ${plural(total, "picture")}` : plural(source.entries.length, "picture"),
  );
  grid.focused = Math.min(grid.focused, Math.max(0, source.entries.length - 1));
  grid.arrange();
  listMonths();
  showSelection();
}

function listMonths(): void {
  const months = new Map<string, number>();
  let last = Number.NaN;
  source.entries.forEach((e, index) => {
    const date = new Date(e.created);
    const key = date.getFullYear() * 12 + date.getMonth();
    if (key === last) return;
    last = key;
    months.set(month(date), index);
  });
  monthSelect.replaceChildren(...[...months].map(([label, index]) => make("option", { value: index }, label)));
  if (months.size === 0) monthSelect.append(make("option", { value: "" }, "No month"));
  monthSelect.disabled = months.size < 2;
}

/** The month that is at the top of the screen. */
function showMonth(top: number): void {
  const month = [...monthSelect.options].findLast((o) => Number(o.value) <= top);
  if (month) monthSelect.value = month.value;
}

let retry = 0;
/** Since when there is no answer. */
let silent: string | null = null;
async function load(): Promise<void> {
  clearTimeout(retry);
  // A skeleton would only flash when the answer is quick.
  const slow = setTimeout(() => {
    box.setAttribute("aria-busy", "true");
    setText(byId("count"), filtered() ? "Searching" : "Loading");
  }, 150);
  try {
    await source.load(filter());
    silent = null;
    if (!filtered()) total = source.entries.length;
    keepSelected();
    show();
  } catch (e) {
    if (e instanceof ApiError) fail(e);
  } finally {
    clearTimeout(slow);
    box.removeAttribute("aria-busy");
  }
}

function fail(error: ApiError): void {
  const wait = 5;
  if (source.entries.length > 0 && error.unanswered) {
    retry = setTimeout(() => void load(), wait * 1000);
    return;
  }
  // One thing is said at a time.
  for (const part of [box, byId("empty"), byId("no-match")]) part.hidden = true;
  byId("failed").hidden = false;
  setText(byId("count"), "");
  let left = wait;
  silent = error.unanswered ? (silent ?? hour(new Date())) : null;
  const tick = (): void => {
    const why = silent ? `Easel has not answered since ${silent}.` : error.message;
    setText(byId("failed-text"), `${why} Nothing is lost: it tries again by itself.`);
    setText(byId("failed-next"), `Next in ${left} s.`);
    left -= 1;
    retry = left < 0 ? setTimeout(() => void load()) : setTimeout(tick, 1000);
  };
  tick();
}

// ── Selection ──
function showSelection(): void {
  const known = [...selected].map((id) => source.artifact(id));
  const size = known.every((a) => a !== undefined) ? `, ${bytes(known.reduce((sum, a) => sum + (a?.bytes ?? 0), 0))}` : "";
  byId("selbar").hidden = selected.size === 0;
  setText(byId("selected"), `${count(selected.size)} selected`);
  setText(byId("zip-size"), ` zip${size}`);
  box.toggleAttribute("data-selecting", selecting || selected.size > 0);
  byId("select").ariaPressed = String(selecting);
  grid.refresh();
}

/** What is out of sight is not selected: nobody deletes what is not shown. */
function keepSelected(): void {
  if (selected.size === 0) return;
  const shown = new Set(source.entries.map((e) => e.id));
  for (const id of selected) if (!shown.has(id)) selected.delete(id);
}

function choose(id: string, on: boolean): void {
  if (on) selected.add(id);
  else selected.delete(id);
}

/** Selects from the last one touched to this one. */
function chooseRange(to: number): void {
  const [low, high] = anchor < to ? [anchor, to] : [to, anchor];
  for (const e of source.entries.slice(low, high + 1)) selected.add(e.id);
  showSelection();
}

function toggle(index: number, range: boolean): void {
  const entry = source.entries[index];
  if (!entry) return;
  if (range) chooseRange(index);
  else choose(entry.id, !selected.has(entry.id));
  anchor = index;
  showSelection();
}

function clearSelection(): boolean {
  if (selected.size === 0 && !selecting) return false;
  selected.clear();
  selecting = false;
  showSelection();
  return true;
}

function remove(ids: string[]): void {
  const gone = new Set(ids);
  const back = source.remove(gone);
  const focused = inGrid();
  for (const id of ids) selected.delete(id);
  total -= ids.length;
  show();
  if (focused) grid.focus(grid.focused);
  void deletePictures(ids, (again) => {
    back(new Set(again));
    total += again.length;
    show();
  });
}

async function download(): Promise<void> {
  const button = byId<HTMLButtonElement>("zip");
  button.ariaBusy = "true";
  try {
    // A file of the browser's own, which writes it to the disk as it comes: films do not fit into a page's memory.
    const { url } = await send<{ url: string }>("POST", "/artifacts/zips", { ids: [...selected] });
    make("a", { href: url, download: "" }).click();
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  } finally {
    button.ariaBusy = null;
  }
}

// ── Keyboard: one tile is reachable by Tab, arrows move from there ──
const inGrid = (): boolean => document.activeElement?.closest(".tile") !== null;

function move(e: KeyboardEvent): boolean {
  if (!inGrid() && document.activeElement !== document.body) return false;
  const last = source.entries.length - 1;
  const at = grid.focused;
  const to: Record<string, number> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: grid.vertical(at, -1),
    ArrowDown: grid.vertical(at, 1),
    Home: 0,
    End: last,
  };
  const next = Math.min(last, Math.max(0, inGrid() ? (to[e.key] ?? at) : at));
  grid.focus(next);
  if (e.shiftKey) chooseRange(next);
  else anchor = next;
  return true;
}

function startKeyboard(): void {
  const group = "Gallery";
  const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  keys(
    { group, says: "Search in prompts", keys: ["/"], run: () => goTo("search") },
    { group, says: "Move", keys: moves, run: move },
    { group, says: "Move and select", keys: moves.map((k) => `Shift+${k}`), run: move },
    { group, says: "First, last", keys: ["Home", "End"], run: move },
    { group, says: "Open", keys: ["Enter"] },
    { group, says: "Select", keys: [" "], run: () => inGrid() && (toggle(grid.focused, false), true) },
    {
      group,
      says: "Select all",
      keys: ["Ctrl+a"],
      run: () => {
        for (const e of source.entries) selected.add(e.id);
        showSelection();
      },
    },
    {
      group,
      says: "Delete, can be undone",
      keys: ["Delete"],
      run: () => {
        const focused = inGrid() ? source.entries[grid.focused]?.id : undefined;
        const ids = selected.size > 0 ? [...selected] : focused ? [focused] : [];
        if (ids.length > 0) remove(ids);
        return ids.length > 0;
      },
    },
    { group, says: "Clear the selection", keys: ["Escape"], inFields: true, run: clearSelection },
  );
}

function startPointer(): void {
  byId("tiles").addEventListener("click", (e) => {
    const li = (e.target as Element).closest<HTMLElement>(".tile");
    if (!li || e.ctrlKey || e.metaKey) return;
    const index = Number(li.dataset.index);
    grid.focused = index;
    const onBox = (e.target as Element).closest("label") !== null;
    // Where ticks are shown for choosing, a click anywhere on a picture chooses it.
    if (!onBox && !selecting && !(e.shiftKey && selected.size > 0)) return;
    e.preventDefault();
    toggle(index, e.shiftKey);
  });
  byId("tiles").addEventListener("focusin", (e) => {
    const index = (e.target as Element).closest<HTMLElement>(".tile")?.dataset.index;
    if (index !== undefined) grid.focused = Number(index);
  });
  // Ticks answer to the click above; by keyboard they answer here.
  byId("tiles").addEventListener("change", () => grid.refresh());
}

function start(): void {
  heights.value = String(recall("row-height", 196));
  grid.rowHeight = Number(heights.value);
  setHeight();
  grid.seen = debounce(120, (first: number, last: number, top: number) => {
    void source.describe(first, last);
    showMonth(top);
  });
  source.described = () => grid.refresh();
  heights.addEventListener("input", setHeight);
  byId("gbar").addEventListener("submit", (e) => e.preventDefault());
  search.addEventListener(
    "input",
    debounce(180, () => void load()),
  );
  modelSelect.addEventListener("change", () => void load());
  monthSelect.addEventListener("change", () => grid.jumpTo(Number(monthSelect.value)));
  byId("select").addEventListener("click", () => {
    selecting = !selecting;
    if (!selecting) selected.clear();
    showSelection();
  });
  byId("zip").addEventListener("click", () => void download());
  byId("delete").addEventListener("click", () => remove([...selected]));
  byId("clear").addEventListener("click", clearSelection);
  byId("clear-search").addEventListener("click", () => {
    search.value = "";
    modelSelect.value = "";
    void load();
    search.focus();
  });
  byId("again").addEventListener("click", () => void load());
  startPointer();
  startKeyboard();
  // What is no picture cannot become a reference.
  startDrag((element) => element.closest<HTMLElement>('.tile:not([data-kind="video"], [data-kind="sound"])')?.dataset.id);
  startHover(byId("tiles"));
  show();
  if (boot.total > boot.items.length || filtered()) void load();
  offerUndo(() => void load());
  listen(boot.seq, (event) => {
    if (event.type !== "artifact" || filtered()) return;
    source.add(event.artifact);
    total = source.entries.length;
    show();
  });
}

function setHeight(): void {
  grid.rowHeight = Number(heights.value);
  const share = (grid.rowHeight - Number(heights.min)) / (Number(heights.max) - Number(heights.min));
  heights.style.setProperty("--v", `${share * 100}%`);
  remember("row-height", grid.rowHeight);
  grid.arrange();
}

start();
