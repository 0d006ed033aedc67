// The machine, live: gauges and processes every two seconds while the page is seen; a day of minutes in a chart whose
// library is loaded when it is needed.

import { get, send, wordsOf } from "../api";
import { all, byId, embedded, make, setText, setVar } from "../dom";
import { NOT_LOADED, toast } from "../toasts";
import { bytes, capital, count, duration, moment, plural, running } from "../words";
import type { Chart, Series } from "./chart";
import { status, type Mark } from "../status";
import { whileSeen } from "../live";
import { Rows } from "../rows";
import { cell, sparkline } from "./parts";

interface Sample {
  at: number;
  cpu: number;
  memory: number;
  gpu: number | null;
  gpu_memory: number | null;
}
interface Gpu {
  name: string;
  percent: number | null;
  memory_used: number;
  memory_total: number;
  celsius: number | null;
  watts: number | null;
  slowed: string[];
  /** Bytes by process. */
  holders: Record<string, number>;
}
interface Tree {
  name: string;
  pid: number;
  cpu: number;
  memory: number;
  gpu_memory: number;
  up_s: number;
  processes: number;
}
interface Disk {
  path: string;
  used: number;
  parts: { name: string; bytes: number; files: number }[];
  more: boolean;
  network: boolean;
  free: number;
  total: number;
  written: number | null;
  at: number;
}
interface Pod {
  provider: string;
  id: string | null;
  region: string | null;
  volume: string | null;
  per_hour: number | null;
  spent: number | null;
  disk_is_lost: boolean;
  idle_stop_min: number | null;
  no_idle_stop: string | null;
}
interface Engine {
  status: string;
  why: string | null;
  device: string;
  no_gpu: string | null;
  looks_again: boolean;
  pid: number | null;
  loaded: string | null;
  restarts: boolean;
}
interface State {
  now: {
    at: number;
    cpu: { percent: number; cores: number; load: number; container: boolean };
    memory: { used: number; total: number; swap_used: number; swap_total: number; container: boolean };
    gpus: Gpu[];
    no_gpus: string | null;
    processes: Tree[];
    disk: Disk | null;
  };
  samples: Sample[];
  device: string;
  engines: Engine[];
  tools_shared: string | null;
  pod: Pod | null;
  jobs: number;
  minutes: Sample[] | null;
}

const EVERY_MS = 2_000;
const MINUTE_MS = 60_000;
/** Less of a GPU's memory is the driver's own, in bytes. */
const CRUMBS = 64_000_000;
const HOUR = 60;
const DAY = 1_440;
let again: () => Promise<void> = async () => {};

interface Gauge {
  title: string;
  big: string;
  small: string;
  meta: string;
  values: number[];
  accent: boolean;
}

/** Who holds how much of the GPUs' memory. */
function holders({ processes, gpus }: State["now"], used: number): string {
  const own = processes.filter((p) => p.gpu_memory > 0);
  const told = gpus.flatMap((g) => Object.values(g.holders)).reduce((sum, b) => sum + b, 0);
  const others = told - own.reduce((sum, p) => sum + p.gpu_memory, 0);
  const list = own.map((p) => `${p.name} ${bytes(p.gpu_memory)}`);
  if (others > CRUMBS) list.push(`other programs ${bytes(others)}`);
  if (list.length > 0) return capital(list.join(", "));
  return used > CRUMBS ? "The driver does not tell who holds it" : "Nobody holds any";
}

function gauges(state: State): Gauge[] {
  const { cpu, memory, gpus, no_gpus } = state.now;
  const line = (of: (s: Sample) => number | null): number[] => state.samples.map((s) => of(s) ?? 0);
  const list: Gauge[] = [];
  const first = gpus[0];
  if (first) {
    const heat = [first.celsius === null ? null : `${first.celsius} °C`, first.watts === null ? null : `${Math.round(first.watts)} W`];
    heat.push(...new Set(gpus.flatMap((g) => g.slowed)));
    const title = gpus.length > 1 ? `${gpus.length} GPUs, the busiest` : `GPU, ${first.name.replace("NVIDIA ", "")}`;
    const busiest = Math.max(...gpus.map((g) => g.percent ?? 0));
    list.push({ title, big: `${busiest}`, small: "%", meta: heat.filter((h) => h !== null).join(", "), values: line((s) => s.gpu), accent: true });
    const used = gpus.reduce((sum, g) => sum + g.memory_used, 0);
    const total = gpus.reduce((sum, g) => sum + g.memory_total, 0);
    list.push({ title: "GPU memory", big: bytes(used), small: `of ${bytes(total)}`, meta: holders(state.now, used), values: line((s) => s.gpu_memory), accent: true });
  } else {
    list.push({ title: "GPU", big: "None", small: "", meta: no_gpus ?? "", values: [], accent: false });
  }
  const cores = Number.isInteger(cpu.cores) ? count(cpu.cores) : cpu.cores.toFixed(1);
  const held = " (the container's share)";
  list.push({
    title: "CPU",
    big: `${Math.round(cpu.percent)}`,
    small: `% of ${cores} core${cpu.cores === 1 ? "" : "s"}`,
    meta: `load ${cpu.load.toFixed(1)}${cpu.container ? held : ""}`,
    values: line((s) => s.cpu),
    accent: false,
  });
  const swap = memory.swap_total === 0 ? "no swap" : `swap ${bytes(memory.swap_used)} of ${bytes(memory.swap_total)}`;
  list.push({
    title: "Memory",
    big: bytes(memory.used),
    small: `of ${bytes(memory.total)}`,
    meta: `${swap}${memory.container ? held : ""}`,
    values: line((s) => s.memory),
    accent: false,
  });
  return list;
}

function showGauges(state: State): void {
  const holder = byId("gauges");
  const list = gauges(state);
  if (holder.childElementCount !== list.length) {
    holder.replaceChildren(...list.map(() => make("li", { class: "card gauge" }, make("h2"), make("p", { class: "big" }), make("p", { class: "meta" }), make("div", { class: "spark" }))));
  }
  list.forEach((gauge, i) => {
    const [title, big, meta, spark] = [...(holder.children[i]?.children ?? [])] as HTMLElement[];
    if (!title || !big || !meta || !spark) return;
    setText(title, gauge.title);
    if (big.textContent !== `${gauge.big} ${gauge.small}`) big.replaceChildren(gauge.big, " ", make("small", {}, gauge.small));
    setText(meta, gauge.meta);
    spark.replaceChildren(sparkline(gauge.values, gauge.accent));
  });
}

function processRow(hasGpu: boolean): (tree: Tree & { state: [Mark, string] | null }) => HTMLElement {
  return (tree) =>
    make(
      "tr",
      {},
      cell(null, "wrap", make("b", {}, tree.name), tree.state ? " " : null, tree.state ? status(...tree.state) : null),
      cell("Up", "num", running(tree.up_s)),
      cell("CPU", "num", `${Math.round(tree.cpu)} %`),
      cell("Memory", "num", bytes(tree.memory)),
      hasGpu ? cell("GPU", "num", tree.gpu_memory > 0 ? bytes(tree.gpu_memory) : "–") : null,
      cell("Processes", "num", count(tree.processes)),
    );
}

function engineState(engine: Engine): [Mark, string] {
  const words: Record<string, [Mark, string]> = {
    ready: ["run", "Ready"],
    starting: ["busy", "Starting"],
    restarting: ["warn", "Starting again"],
    failed: ["bad", "Failed"],
  };
  return words[engine.status] ?? ["off", "Stopped"];
}

/** What there is to say of an engine beside its state. What was stopped for want of a GPU was set aside by the studio itself. */
function engineNotes(engine: Engine, aside: boolean): string[] {
  return [
    engine.why,
    aside ? "It has no GPU, so others get its jobs." : null,
    engine.no_gpu,
    engine.looks_again ? "It looks again by itself, every half hour at least." : null,
    engine.restarts ? "It restarts once its job is over." : null,
  ].filter((note) => note !== null);
}

/** `name` is "Engine", or "Engine 2" where there are several. */
interface NamedEngine extends Engine {
  number: number;
  name: string;
}

async function restart(engine: NamedEngine, button: HTMLElement): Promise<void> {
  button.ariaBusy = "true";
  try {
    await send("POST", `/system/engines/${engine.number}/restart`);
    await again();
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  } finally {
    button.ariaBusy = null;
  }
}

function engineRow(engine: NamedEngine): HTMLElement {
  const aside = engine.status === "stopped" && engine.no_gpu !== null;
  const notes = engineNotes(engine, aside).join(" ");
  const mark: [Mark, string] = aside ? ["warn", "Set aside"] : engineState(engine);
  const button = make("button", { type: "button", class: "btn btn--ghost" }, "Restart", make("span", { class: "vh" }, ` ${engine.name}`));
  button.disabled = engine.status === "starting" || engine.restarts;
  button.addEventListener("click", () => void restart(engine, button));
  return make(
    "tr",
    {},
    cell(null, "wide wrap", make("b", {}, engine.name), " ", status(...mark), notes ? make("p", { class: "meta" }, notes) : null),
    cell("Computes on", "wrap", engine.device || "–"),
    cell("Model in memory", "wrap", engine.loaded ?? "–"),
    cell(null, "wide", make("div", { class: "row end" }, button)),
  );
}

/** Where the engines compute; why not, where there is only one. */
function engineWords(state: State): string {
  const [first, ...others] = state.engines;
  if (first?.why && others.length === 0) return `Engine: ${first.why}`;
  return state.device || "No engine works yet";
}

const FILLS = ["ink", "ink-3", "accent", "edge", "warn", "track"];

function showDisk(disk: Disk | null): void {
  if (!disk) return;
  const holder = byId("disk");
  const shown = JSON.stringify(disk.parts.map((p) => [p.name, bytes(p.bytes)])) + disk.written;
  if (holder.dataset.shown === shown) return;
  holder.dataset.shown = shown;
  const track = make("div", { class: "track", role: "img", "aria-label": disk.parts.map((p) => `${p.name} ${bytes(p.bytes)}`).join(", ") });
  const legend = make("ul", { class: "legend" });
  disk.parts.forEach((part, i) => {
    const piece = make("i");
    setVar(piece, "--f", part.bytes);
    const mark = make("i");
    for (const one of [piece, mark]) setVar(one, "--fill", `var(--${FILLS[i] ?? "track"})`);
    track.append(piece);
    legend.append(make("li", {}, mark, `${part.name} ${bytes(part.bytes)}`));
  });
  const wrote = disk.written === null ? "" : ` The last write succeeded ${moment(new Date(disk.written))}.`;
  const free = disk.network
    ? `This is a network volume. It reports ${bytes(disk.total)}, the whole cluster's, not your quota.${wrote}`
    : `${bytes(disk.free)} of ${bytes(disk.total)} are free on this disk.${wrote}`;
  holder.replaceChildren(
    make("p", { class: "used" }, `${disk.more ? "At least " : ""}${bytes(disk.used)} `, make("span", { class: "meta" }, "used by Easel in "), make("span", { class: "meta mono wrap" }, disk.path)),
    track,
    legend,
    make("p", { class: "meta" }, `${free} Counted ${moment(new Date(disk.at))}.`),
  );
}

/** The chart's lines: GPU where there is one, else processors and memory. */
function series(minutes: Sample[]): Series[] {
  const gpu = minutes.some((m) => m.gpu !== null);
  return gpu
    ? [
        { label: "GPU use", of: (s) => s.gpu, accent: true, dash: false },
        { label: "GPU memory", of: (s) => s.gpu_memory, accent: false, dash: true },
        { label: "CPU", of: (s) => s.cpu, accent: false, dash: false },
      ]
    : [
        { label: "CPU", of: (s) => s.cpu, accent: true, dash: false },
        { label: "Memory", of: (s) => s.memory, accent: false, dash: true },
      ];
}

/** Where this studio stands: which pod, and what it costs. */
function place(pod: Pod | null): string {
  if (!pod) return "This machine";
  const where = [`${pod.provider} pod ${pod.id ?? ""}`.trim(), pod.region, pod.volume ? `volume ${pod.volume}` : null];
  const cost = pod.per_hour === null ? null : `$${pod.per_hour.toFixed(2)} an hour, $${(pod.spent ?? 0).toFixed(2)} since it began`;
  const stops = pod.idle_stop_min === null ? null : `stops after ${duration(pod.idle_stop_min * 60)} without use`;
  return [...where, cost, stops].filter(Boolean).join(", ");
}

export function start(): void {
  const boot = embedded<{ state: State; started: string }>("boot");
  const started = Date.parse(boot.started);
  let minutes = boot.state.minutes ?? [];
  let asked = Date.now();
  let chart: Chart | null = null;
  let rows: Rows<Tree & { state: [Mark, string] | null }> | null = null;
  const engines = new Rows<NamedEngine>(byId("engine-rows"), (e) => String(e.number), engineRow);

  const show = (state: State): void => {
    const up = duration((state.now.at - started) / 1000);
    setText(byId("place"), `${place(state.pod)}. Easel up ${up}. ${engineWords(state)}, ${state.jobs === 0 ? "no job waits" : `${plural(state.jobs, "job")} running or waiting`}.`);
    showGauges(state);
    const hasGpu = state.now.gpus.length > 0;
    for (const head of all("th.gpu")) head.hidden = !hasGpu;
    rows ??= new Rows(byId("processes"), (t) => String(t.pid), processRow(hasGpu));
    const stateOf = (pid: number): [Mark, string] | null => {
      const engine = state.engines.find((e) => e.pid === pid);
      return engine ? engineState(engine) : null;
    };
    rows.show(state.now.processes.map((t) => ({ ...t, state: stateOf(t.pid) })));
    const nameOf = (number: number): string => (state.engines.length === 1 ? "Engine" : `Engine ${number}`);
    engines.show(state.engines.map((e, i) => ({ ...e, number: i + 1, name: nameOf(i + 1) })));
    showDisk(state.now.disk);
  };
  // A studio that began a moment ago has no day to show.
  if (minutes.length < HOUR) for (const input of all<HTMLInputElement>("input[name=span][value=hour]")) input.checked = true;
  const draw = (): void => {
    const hour = document.querySelector<HTMLInputElement>("input[name=span][value=hour]")?.checked ?? false;
    setText(byId("span-title"), hour ? "Last hour" : "Last 24 hours");
    chart?.show(minutes, series(minutes), hour ? HOUR : DAY);
  };
  for (const input of all("input[name=span]")) input.addEventListener("change", draw);
  setText(byId("tools-users"), boot.state.tools_shared ?? "Each tool runs as a user of its own, who sees its own folders and the models.");
  show(boot.state);
  import("./chart")
    .then(async (part) => {
      chart = await part.open(byId("chart"), byId("legend"));
      draw();
    })
    .catch(() => toast(NOT_LOADED, { bad: true }));
  again = whileSeen(EVERY_MS, async () => {
    const wanted = Date.now() - asked >= MINUTE_MS;
    const state = await get<State>(`/system${wanted ? "?minutes=true" : ""}`);
    if (state.minutes) {
      minutes = state.minutes;
      asked = Date.now();
      draw();
    }
    show(state);
  });
}
