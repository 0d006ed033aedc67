// The container engine, or why there is none, and this studio's containers. Looked at anew while the page is seen.

import { terminal } from "easel:icons";
import { get } from "../api";
import { byId, embedded, icon, make, setText } from "../dom";
import { moment } from "../words";
import { status, type Mark } from "../status";
import { openShell } from "../terminal/open";
import { whileSeen } from "../live";
import { Rows } from "../rows";
import { cell } from "./parts";

interface Container {
  id: string;
  tool: string;
  name: string;
  running: boolean;
  ended: string | null;
  started: string;
  health: "none" | "starting" | "well" | "unwell";
  out_of_memory: boolean;
  ports: { host: number; inside: number }[];
}
interface State {
  way: "auto" | "process" | "container";
  looking: boolean;
  engine: { name: string; api: string; socket: string; gpus: boolean } | null;
  why: string | null;
  items: Container[] | null;
  shell: boolean;
}

const EVERY_MS = 3_000;
const SOON_MS = 50;
const WAYS: Record<State["way"], string> = {
  auto: "Tools that name an image run in a container where there is an engine, else as processes.",
  process: "All tools run as processes.",
  container: "Tools that name an image run in a container only.",
};
const HEALTH: Record<Container["health"], [Mark, string]> = {
  none: ["off", "Not checked"],
  starting: ["busy", "Starting"],
  well: ["run", "Well"],
  unwell: ["bad", "Unwell"],
};

function engineState(now: State): HTMLElement {
  if (now.looking) return status("busy", "Looking for it");
  if (!now.engine) return status(now.way === "container" ? "bad" : "off", "None");
  return now.why ? status("warn", "Does not answer") : status("run", now.engine.name);
}

function engineWords(now: State): string {
  if (now.why) return now.why;
  if (!now.engine) return "";
  const cards = now.engine.gpus ? " It has a runtime for NVIDIA's cards." : "";
  return `At ${now.engine.socket}, interface ${now.engine.api}.${cards}`;
}

/** A shell inside, while it runs. */
function shellOf(container: Container): HTMLButtonElement {
  const button = make("button", { class: "btn", type: "button" }, icon(terminal), "Shell", make("span", { class: "vh" }, ` in ${container.name}`));
  button.addEventListener("click", () => void openShell(`/containers/${container.tool}/shell`, button));
  return button;
}

function row(container: Container, shell: boolean): HTMLElement {
  const [mark, word] = HEALTH[container.health];
  const ended = container.out_of_memory ? "Out of memory" : `It ${container.ended ?? "was only made"}`;
  const ports = container.ports.map((port) => `127.0.0.1:${port.host} → ${port.inside}`).join(", ");
  const started = container.started === "" ? null : new Date(container.started);
  return make(
    "tr",
    { "data-tool": container.tool },
    cell(null, "wide", make("b", {}, container.name), " ", make("span", { class: "meta mono" }, container.id)),
    cell("State", "nowrap", container.running ? status("run", "Running") : status("off", ended)),
    cell("Health", "nowrap", status(mark, word)),
    cell("Ports", "mono nowrap", ports === "" ? "none" : ports),
    cell("Started", "quiet nowrap", started ? make("time", { datetime: container.started, title: container.started }, moment(started)) : "never"),
    cell(null, "", shell && container.running ? shellOf(container) : null),
  );
}

export function start(): void {
  const first = embedded<State>("boot");
  const rows = new Rows<Container>(byId("rows"), (c) => c.id, (c) => row(c, first.shell));
  const show = (now: State): void => {
    byId("engine-state").replaceChildren(engineState(now));
    setText(byId("engine-words"), engineWords(now));
    setText(byId("engine-way"), WAYS[now.way]);
    byId("list").hidden = !now.engine || (now.items === null && now.why !== null);
    byId("loading").hidden = now.items !== null;
    byId("none").hidden = now.items === null || now.items.length > 0;
    if (now.items) rows.show(now.items);
  };
  show(first);
  const again = whileSeen(EVERY_MS, async () => show(await get<State>("/containers")));
  // The page was made without asking the engine.
  setTimeout(again, SOON_MS);
}
