// The tools page: a card for each program beside the studio. The panel says that something has changed; the page then asks
// what it may see. Cards stay, their words change, so that nothing jumps and the focus holds.

import { get, send, wordsOf } from "./api";
import { images } from "easel:icons";
import { byId, embedded, icon, make } from "./dom";
import { listen } from "./events";
import { whileSeen } from "./live";
import { Notices, type Notice } from "./notices";
import { Card, type Act, type Tool } from "./tools/card";
import { choose, type Chosen } from "./tools/choose";
import { drawCards, type GraphicsCard } from "./tools/room";
import { review } from "./tools/review";
import { Sets } from "./tools/sets";
import { Status } from "./status";
import { openShell } from "./terminal/open";
import { toast } from "./toasts";
import { plural } from "./words";

interface List {
  /** As the API tells them: `since` goes by the studio's clock, as `now` does. */
  items: (Omit<Tool, "began"> & { since: number | null })[];
  cards: GraphicsCard[];
  now: number;
}
interface Boot extends List {
  seq: number;
  datasets: { sets: number; pictures: number };
  notices: Notice[];
}

/** Memory of a card changes by itself; it is looked at so often, in ms, while somebody sees the page and there is a card. */
const LOOK_AT_CARDS = 5_000;

const boot = embedded<Boot>("boot");
const list = byId("tools");
const cards = new Map<string, Card>();
let models: Tool | undefined;
const sets = new Sets(byId("sets"), (act, picks) => models && void run(models, act, picks));
const own = ownCard(boot.datasets);
const notices: Notices = new Notices(byId("notices"), async (path) => {
  try {
    const begun = await send<{ session?: string } | null>("POST", path);
    if (begun?.session) location.assign(`/sessions/${begun.session}`);
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  }
});

function draw({ items: told, cards: graphics, now }: List): void {
  drawCards(byId("gpu"), graphics);
  const items = told.map(({ since, ...tool }): Tool => ({ ...tool, began: since === null ? null : performance.now() - (now - since) }));
  models = items.find((tool) => tool.sets);
  if (models) sets.draw(models);
  for (const tool of items.filter((tool) => !tool.sets)) {
    let card = cards.get(tool.id);
    if (!card) {
      card = new Card(tool, (act) => void run(cards.get(tool.id)?.tool ?? tool, act));
      cards.set(tool.id, card);
      list.insertBefore(card.element, own);
    }
    card.draw(tool);
  }
  const ids = new Set(items.map((t) => t.id));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.element.remove();
    cards.delete(id);
  }
}

const refresh = whileSeen(
  () => (byId("gpu").hidden ? null : LOOK_AT_CARDS),
  async () => draw(await get<List>("/tools")),
);
const lookAtNotices = whileSeen(
  () => null,
  () => notices.look(),
);

/** What was chosen for an action, or asked for now; null: they changed their mind. */
async function wish(tool: Tool, act: Act, picks: string[]): Promise<Chosen | null | undefined> {
  // What runs is brought up to date as a whole; of what only installs, some can be.
  const chooses = tool.choices && (act === "install" || (act === "update" && !tool.runs));
  if (!chooses) return undefined;
  const asks = (tool.sets ?? []).some((set) => picks.includes(set.id) && set.tokens.length > 0);
  return picks.length > 0 && !asks ? { picks, tokens: {} } : choose(tool, act, picks);
}

async function run(tool: Tool, act: Act, picks: string[] = []): Promise<void> {
  const { id } = tool;
  if (act === "review") {
    if (await review(tool)) await refresh();
    return;
  }
  const body = await wish(tool, act, picks);
  if (body === null) return;
  const busy = (on: boolean): void => {
    if (id === models?.id) sets.busy(picks, on);
    else cards.get(id)?.busy(act, on);
  };
  busy(true);
  try {
    if (act === "open") {
      await open(id);
      return;
    }
    const begun = await send<{ session?: string }>("POST", `/tools/${id}/${act}`, body);
    if (begun.session) {
      location.assign(`/sessions/${begun.session}`);
      return;
    }
    await refresh();
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  } finally {
    busy(false);
  }
}

/** A ticket is posted to the tool's gate in a tab of its own: it is in no address and no history. */
async function open(id: string): Promise<void> {
  const { action, ticket } = await send<{ action: string; ticket: string }>("POST", `/tools/${id}/ticket`);
  const field = make("input", { type: "hidden", name: "ticket", value: ticket });
  const form = make("form", { method: "post", action, target: "_blank", rel: "noopener", hidden: true }, field);
  document.body.append(form);
  form.submit();
  form.remove();
}

/** The part of Easel that makes training sets, as a card among the tools. */
function ownCard({ sets, pictures }: Boot["datasets"]): HTMLLIElement {
  const status = new Status();
  status.say("run", "Always ready");
  const mark = make("span", { class: "mark" }, icon(images));
  const words = make("div", {}, make("h2", {}, "LoRA-Tool"), make("p", {}, "Datasets: captions and crops for training"));
  const header = make("header", {}, mark, words, make("span", { class: "badge" }, "Built in"));
  const has = sets === 0 ? "No datasets yet." : `${plural(sets, "dataset")}, ${plural(pictures, "picture")}.`;
  const open = make("a", { class: "btn btn--main", href: "/datasets" }, "Open", make("span", { class: "vh" }, " LoRA-Tool"));
  const why = make("div", { class: "why" }, status.element, make("p", {}, has));
  return make("li", { class: "card tool", "data-tool": "lora-tool" }, header, why, make("footer", {}, open));
}

list.append(own);
notices.draw(boot.notices);
draw(boot);
const shell = document.querySelector<HTMLButtonElement>("#shell");
shell?.addEventListener("click", () => void openShell("/sessions", shell));
setInterval(() => {
  cards.forEach((card) => card.tick());
  sets.tick();
}, 1_000);
listen(boot.seq, (event) => {
  if (event.type === "tools") void refresh();
  if (event.type === "notices") void lookAtNotices();
});
