// The part of the gallery that can be seen, as elements: tiles come and go with the scrolling, the page always has
// its true height. Knows where things stand and what is chosen, not why.

import { byId, make, setVar } from "../dom";
import type { Artifact } from "../types";
import { plural } from "../words";
import { layOut, rowAt, rowOfEntry, type Entry, type Layout, type Measure, type Row } from "./layout";
import { Tile } from "./tile";

/** Tiles in the document at most. */
const MOST_TILES = 280;
/** Rows kept ready beyond each edge of the screen, where the number of tiles allows. */
const SPARE_ROWS = 4;
/** What the bars cover at the top of the screen, and a little more; in CSS pixels. */
const BAR = 120;

export interface Tiles {
  entries: Entry[];
  alt: (index: number) => string;
  artifact: (id: string) => Artifact | undefined;
  chosen: (id: string) => boolean;
}

export class Grid {
  private layout: Layout = { rows: [], days: [], height: 0 };
  private readonly tiles = new Map<string, Tile>();
  /** Tiles that have left the screen, to be used again. */
  private readonly spare: Tile[] = [];
  private readonly days = new Map<string, HTMLElement>();
  private frame = 0;
  private width = 0;
  /** Where the gallery begins on the page. Kept, since to ask while scrolling would force a layout each frame. */
  private offset = 0;
  /** The tile that Tab reaches. */
  focused = 0;
  rowHeight = 196;
  /** First and last entry drawn, and the one at the top of the screen, after each drawing. */
  seen: (first: number, last: number, top: number) => void = () => {};

  constructor(
    private readonly box: HTMLElement,
    private readonly list: HTMLElement,
    private readonly source: Tiles,
  ) {
    addEventListener("scroll", () => this.schedule(), { passive: true });
    new ResizeObserver(() => {
      if (this.box.clientWidth !== this.width) this.arrange();
      else this.schedule();
    }).observe(this.box);
    // The bar above wraps with the width of the page, and moves the gallery without a change of its own size.
    new ResizeObserver(() => this.findOffset()).observe(byId("gbar"));
  }

  private get measure(): Measure {
    const narrow = matchMedia("(max-width: 719px)").matches;
    return {
      width: this.box.clientWidth,
      rowHeight: narrow ? 112 : this.rowHeight,
      gap: narrow ? 3 : 6,
      dayHeight: narrow ? 44 : 64,
    };
  }

  /** Lays everything out anew, keeping the picture at the top of the screen there. */
  arrange(): void {
    const anchor = this.anchor();
    this.width = this.box.clientWidth;
    this.findOffset();
    this.layout = layOut(this.source.entries, this.measure);
    setVar(this.box, "--height", `${this.layout.height}px`);
    if (anchor) scrollTo({ top: scrollY + this.topOf(anchor.index) - anchor.top });
    this.drawNow();
  }

  scrollToEntry(index: number): void {
    const row = this.layout.rows[rowOfEntry(this.layout.rows, index)];
    if (!row) return;
    const top = this.offset + row.y;
    const bar = byId("gbar").getBoundingClientRect().bottom;
    if (top - scrollY < bar + 8) scrollTo({ top: top - bar - 8 });
    else if (top + row.height - scrollY > innerHeight - 8) scrollTo({ top: top + row.height - innerHeight + 8 });
    this.drawNow();
  }

  /** Puts an entry's day at the top of the screen. */
  jumpTo(index: number): void {
    const day = this.layout.days.findLast((d) => d.first <= index);
    scrollTo({ top: this.offset + (day?.y ?? 0) - byId("gbar").getBoundingClientRect().bottom });
    this.drawNow();
  }

  focus(index: number): void {
    const entry = this.source.entries[index];
    if (!entry) return;
    this.focused = index;
    this.scrollToEntry(index);
    this.refresh();
    this.tiles.get(entry.id)?.link.focus({ preventScroll: true });
  }

  /** The entry one row up or down, nearest in the middle. */
  vertical(index: number, by: 1 | -1): number {
    const { rows } = this.layout;
    const at = rowOfEntry(rows, index);
    const from = rows[at];
    const to = rows[at + by];
    if (!from || !to) return index;
    const k = index - from.first;
    const middle = (from.x[k] ?? 0) + (from.w[k] ?? 0) / 2;
    const distances = to.x.map((x, i) => Math.abs(x + (to.w[i] ?? 0) / 2 - middle));
    return to.first + distances.indexOf(Math.min(...distances));
  }

  /** Writes again what may have changed in place: words, ticks, the reachable tile. */
  refresh(): void {
    for (const tile of this.tiles.values()) this.describe(tile);
  }

  private findOffset(): void {
    this.offset = this.box.getBoundingClientRect().top + scrollY;
  }

  private topOf(index: number): number {
    const row = this.layout.rows[rowOfEntry(this.layout.rows, index)];
    return this.offset - scrollY + (row?.y ?? 0);
  }

  private anchor(): { index: number; top: number } | null {
    if (scrollY < 8 || this.layout.rows.length === 0) return null;
    const row = this.layout.rows[rowAt(this.layout.rows, scrollY - this.offset + BAR)];
    return row && row.first < this.source.entries.length ? { index: row.first, top: this.topOf(row.first) } : null;
  }

  private schedule(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  /** The rows on the screen, then spare ones on both sides as long as there is room. */
  private visible(): [number, number] {
    const { rows } = this.layout;
    const top = scrollY - this.offset;
    let first = rowAt(rows, top);
    let last = first;
    let tiles = 0;
    while (last < rows.length && (rows[last] as Row).y < top + innerHeight) {
      tiles += (rows[last] as Row).x.length;
      last += 1;
    }
    for (let spare = 0; spare < SPARE_ROWS && tiles < MOST_TILES; spare += 1) {
      const below = rows[last]?.x.length ?? 0;
      if (tiles + below <= MOST_TILES && last < rows.length) {
        tiles += below;
        last += 1;
      }
      const above = rows[first - 1]?.x.length ?? 0;
      if (tiles + above <= MOST_TILES && first > 0) {
        tiles += above;
        first -= 1;
      }
    }
    return [first, last];
  }

  private drawNow(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const [from, to] = this.visible();
    const rows = this.layout.rows.slice(from, to);
    const wanted = new Set<string>();
    for (const row of rows)
      for (let i = 0; i < row.x.length; i += 1) wanted.add(this.source.entries[row.first + i]?.id ?? "");
    this.recycle(wanted);
    const shown: Tile[] = [];
    for (const row of rows) {
      row.x.forEach((x, i) => {
        const index = row.first + i;
        const entry = this.source.entries[index];
        if (!entry) return;
        const tile = this.tileOf(entry);
        shown.push(tile);
        if (tile.place(index, x, row.y, row.w[i] ?? 0, row.height)) this.describe(tile);
      });
    }
    this.order(shown, wanted);
    this.drawDays(rows);
    const last = rows.at(-1);
    const top = this.layout.rows[rowAt(this.layout.rows, scrollY - this.offset + BAR)];
    if (rows[0] && last) this.seen(rows[0].first, last.first + last.x.length - 1, top?.first ?? 0);
  }

  /** Takes away what is not wanted. The tile that has the focus stays, or the focus would be lost, unless its picture is gone. */
  private recycle(wanted: Set<string>): void {
    for (const [id, tile] of this.tiles) {
      if (wanted.has(id) || (tile.li.contains(document.activeElement) && this.keep(tile, id))) continue;
      tile.clear();
      this.tiles.delete(id);
      if (this.spare.length < MOST_TILES) this.spare.push(tile);
    }
  }

  /** Puts a tile that cannot be seen where it belongs; answers false where the gallery has no such picture. */
  private keep(tile: Tile, id: string): boolean {
    const { entries } = this.source;
    const index = entries[tile.index]?.id === id ? tile.index : entries.findIndex((e) => e.id === id);
    const row = this.layout.rows[rowOfEntry(this.layout.rows, index)];
    if (index < 0 || !row) return false;
    const k = index - row.first;
    tile.place(index, row.x[k] ?? 0, row.y, row.w[k] ?? 0, row.height);
    return true;
  }

  private tileOf(entry: Entry): Tile {
    const known = this.tiles.get(entry.id);
    if (known) return known;
    const tile = this.spare.pop() ?? new Tile();
    tile.show(entry);
    this.tiles.set(entry.id, tile);
    return tile;
  }

  /** Screen readers and Tab follow the document, so its order is the gallery's. What stands right is not touched. */
  private order(shown: Tile[], wanted: Set<string>): void {
    let at = this.list.firstElementChild as HTMLLIElement | null;
    const next = (): HTMLLIElement | null => (at?.nextElementSibling ?? null) as HTMLLIElement | null;
    for (const tile of shown) {
      while (at && !wanted.has(at.dataset.id ?? "") && Number(at.dataset.index) < tile.index) at = next();
      if (at === tile.li) at = next();
      else this.list.insertBefore(tile.li, at);
    }
  }

  private describe(tile: Tile): void {
    const id = this.source.entries[tile.index]?.id ?? "";
    tile.describe(this.source.alt(tile.index), this.source.chosen(id), tile.index === this.focused, this.source.artifact(id));
  }

  private drawDays(rows: Row[]): void {
    const [first, last] = [rows[0], rows.at(-1)];
    const shown = first && last ? this.layout.days.filter((d) => d.first <= last.first && d.first + d.count > first.first) : [];
    const keys = new Set(shown.map((d) => d.label));
    for (const [label, element] of this.days) {
      if (keys.has(label)) continue;
      element.remove();
      this.days.delete(label);
    }
    for (const d of shown) {
      let element = this.days.get(d.label);
      if (!element) {
        element = make("div", { class: "day" }, make("h2", {}, d.label), make("span", { class: "meta" }));
        this.days.set(d.label, element);
        this.box.insertBefore(element, this.list);
      }
      setVar(element, "--y", `${d.y}px`);
      const word = element.lastElementChild;
      if (word) word.textContent = plural(d.count, "picture");
    }
  }
}
