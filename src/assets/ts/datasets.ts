// The list of datasets: a card for each, made and named here; for admins the vision model. Drawn anew when the panel says
// that one has changed.

import { get } from "./api";
import { byId, debounce, embedded, make } from "./dom";
import { listen } from "./events";
import { whileSeen } from "./live";
import { askName } from "./dataset/naming";
import type { Dataset } from "./dataset/shapes";
import { askVision, type Vision } from "./dataset/vision";
import { bytes, moment, plural } from "./words";
import { Rows } from "./rows";

interface Listed extends Dataset {
  covers: string[];
}
interface Boot {
  seq: number;
  items: Listed[];
  vision: Vision | null;
  homes: [string, string][];
}

const boot = embedded<Boot>("boot");
const COVERS = 4;

function captions(d: Listed): string {
  if (d.pictures === 0) return "No pictures yet";
  const done = d.captioned === d.pictures ? "all with a caption" : `${d.captioned} with a caption`;
  return `${plural(d.pictures, "picture")}, ${done}`;
}

function card(d: Listed): HTMLElement {
  const covers = d.covers.map((id) => make("img", { src: `/api/v1/dataset-pictures/${id}/thumb`, alt: "", loading: "lazy" }));
  for (let i = covers.length; i < COVERS; i += 1) covers.push(make("span") as unknown as HTMLImageElement);
  const trigger = d.trigger === "" ? "No trigger word" : `Trigger word “${d.trigger}”`;
  return make(
    "li",
    { class: "dcard" },
    make(
      "a",
      { href: `/datasets/${d.id}` },
      make("div", { class: "covers", "aria-hidden": true }, ...covers),
      make("b", { class: "wrap" }, d.name),
      make("span", { class: "quiet" }, captions(d)),
      make("span", { class: "meta wrap" }, `${trigger} · ${bytes(d.bytes)} · ${moment(new Date(d.changed))}`),
    ),
  );
}

const rows = new Rows<Listed>(byId("datasets"), (d) => d.id, card);

function draw(items: Listed[]): void {
  rows.show(items);
  byId("none").hidden = items.length > 0;
  // One main action a view: where there is nothing yet, it stands below.
  byId("new").hidden = items.length === 0;
}

const refresh = whileSeen(
  () => null,
  async () => draw((await get<{ items: Listed[] }>("/datasets")).items),
);
const soon = debounce(300, refresh);

function askNew(): void {
  askName(null, (made) => location.assign(`/datasets/${made.id}`));
}

draw(boot.items);
byId("new").addEventListener("click", askNew);
byId("first").addEventListener("click", askNew);
document.getElementById("vision")?.addEventListener("click", () => askVision(boot.vision, boot.homes, (v) => (boot.vision = v)));
listen(boot.seq, (event) => {
  if (event.type === "dataset") soon();
});
