// The audit trail: newest first, filtered by the server, older lines on demand.

import { get, wordsOf } from "../api";
import { byId, debounce, embedded, make } from "../dom";
import { latest } from "../live";
import { toast } from "../toasts";
import { moment } from "../words";
import { status } from "../status";
import { Rows } from "../rows";
import { cell, choice } from "./parts";

interface Line {
  seq: number;
  at: string;
  who: string;
  kind: string;
  what: string;
  refused: boolean;
}
interface Page {
  items: Line[];
  next: number | null;
  people: string[];
}

export function start(): void {
  const boot = embedded<{ page: Page; names: Record<string, string> }>("boot");
  const nameOf = (who: string): string => boot.names[who] ?? who;
  const form = byId<HTMLFormElement>("filters");
  // The words for what a line is about are those of the filter.
  const kinds = new Map([...byId<HTMLSelectElement>("kind").options].map((option) => [option.value, option.text]));
  const older = byId<HTMLButtonElement>("older");
  const rows = new Rows<Line>(byId("lines"), (l) => String(l.seq), (line) =>
    make(
      "tr",
      {},
      cell(null, "quiet nowrap", make("time", { datetime: line.at, title: line.at }, moment(new Date(line.at)))),
      cell(null, "nowrap", make("b", {}, nameOf(line.who))),
      cell(null, "wrap wide", line.refused ? make("span", { class: "row" }, status("bad", "Refused"), line.what) : line.what),
      cell("About", "quiet nowrap", kinds.get(line.kind) ?? line.kind),
    ),
  );
  let items: Line[] = [];
  let next: number | null = null;

  const show = (page: Page, more: boolean): void => {
    items = more ? [...items, ...page.items] : page.items;
    next = page.next;
    rows.show(items);
    byId("none").hidden = items.length > 0;
    older.hidden = next === null;
    for (const who of page.people) choice(byId<HTMLSelectElement>("who"), who, nameOf(who));
  };
  const ask = latest((asked: URLSearchParams) => get<Page>(`/audit?${asked}`));
  const load = (before: number | null): void => {
    const asked = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") asked.set(name, String(value));
    if (before !== null) asked.set("before", String(before));
    // What is older is older than what is shown: nothing of other filters is put below it.
    older.disabled = before === null;
    ask(asked)
      .then((page) => page && show(page, before !== null))
      .catch((e: unknown) => toast(wordsOf(e), { bad: true }))
      .finally(() => (older.disabled = false));
  };
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("change", () => load(null));
  form.addEventListener("input", debounce(200, () => load(null)));
  older.addEventListener("click", () => load(next));
  show(boot.page, false);
}
