// What the gallery holds: the list of all pictures at once, their words in pages when they come into view. Knows no
// document.

import { get } from "../api";
import type { Artifact } from "../types";
import { created, kindOf } from "../types";
import { moment } from "../words";
import type { Entry } from "./layout";

const PAGE = 100;
const nouns = { picture: "Picture", video: "Video", sound: "Sound" };

export interface Filter {
  q: string;
  model: string;
}

type Row = [id: string, width: number, height: number, created: string | number];

export const entryOf = (a: { id: string; width: number; height: number; created: string | number }): Entry => ({
  id: a.id,
  width: a.width,
  height: a.height,
  created: created(a).getTime(),
});

export class Source {
  entries: Entry[] = [];
  private readonly known = new Map<string, Artifact>();
  private readonly asked = new Set<number>();
  private filter: Filter = { q: "", model: "" };
  private loading: AbortController | null = null;
  /** Came, or was deleted, while a list was on its way that may not know of it. */
  private came: Artifact[] = [];
  private readonly gone = new Set<string>();
  /** Words of pictures have come. */
  described: () => void = () => {};

  constructor(first: Artifact[]) {
    for (const a of first) this.known.set(a.id, a);
    this.entries = first.map(entryOf);
  }

  artifact(id: string): Artifact | undefined {
    return this.known.get(id);
  }

  alt(index: number): string {
    const entry = this.entries[index];
    const known = entry && this.known.get(entry.id);
    const noun = nouns[kindOf(known)];
    const words = known?.prompt.trim();
    if (words) return noun === "Picture" ? words : `${noun}: ${words}`;
    return entry ? `${noun}, ${moment(new Date(entry.created))}` : "";
  }

  /** The list of every picture that the filter lets through. */
  async load(filter: Filter): Promise<void> {
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    this.came = [];
    const rows = await get<Row[]>(`/artifacts/layout${query(filter)}`, loading.signal);
    this.filter = filter;
    this.asked.clear();
    const entries = rows.map(([id, width, height, time]) => entryOf({ id, width, height, created: time }));
    this.entries = entries.filter((e) => !this.gone.has(e.id));
    for (const artifact of this.came) this.add(artifact);
  }

  /** Fetches the words of a stretch, page by page, each once. */
  async describe(first: number, last: number): Promise<void> {
    const pages = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page += 1) {
      const entries = this.entries.slice(page * PAGE, (page + 1) * PAGE);
      if (!this.asked.has(page) && entries.some((e) => !this.known.has(e.id))) pages.push(page);
    }
    await Promise.all(pages.map((page) => this.page(page)));
  }

  add(artifact: Artifact): void {
    if (!this.came.includes(artifact)) this.came.push(artifact);
    if (this.gone.has(artifact.id) || this.entries.some((e) => e.id === artifact.id)) return;
    this.known.set(artifact.id, artifact);
    const entry = entryOf(artifact);
    const at = this.entries.findIndex((e) => e.created <= entry.created && e.id < entry.id);
    this.entries.splice(at < 0 ? this.entries.length : at, 0, entry);
  }

  /** Takes pictures out, and returns how to bring some of them back. */
  remove(ids: Set<string>): (again: Set<string>) => void {
    const before = this.entries;
    this.entries = before.filter((e) => !ids.has(e.id));
    for (const id of ids) this.gone.add(id);
    return (again) => {
      for (const id of again) this.gone.delete(id);
      const have = new Set(this.entries.map((e) => e.id));
      const back = before.filter((e) => again.has(e.id) && !have.has(e.id));
      this.entries = [...this.entries, ...back].sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
    };
  }

  private async page(page: number): Promise<void> {
    this.asked.add(page);
    const before = this.entries[page * PAGE - 1]?.id;
    try {
      const { items } = await get<{ items: Artifact[] }>(
        `/artifacts${query(this.filter, { limit: String(PAGE), ...(before ? { before } : {}) })}`,
      );
      for (const a of items) this.known.set(a.id, a);
      this.described();
    } catch {
      this.asked.delete(page);
    }
  }
}

function query(filter: Filter, more: Record<string, string> = {}): string {
  const search = new URLSearchParams(more);
  if (filter.q) search.set("q", filter.q);
  if (filter.model) search.set("model", filter.model);
  const text = search.toString();
  return text ? `?${text}` : "";
}
