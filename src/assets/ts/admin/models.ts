// Models: what is there and what is not, what is on its way; adding by address or from this computer, removing.

import { get, send, wordsOf } from "../api";
import { byId, embedded, icon, make, setText, setVar } from "../dom";
import { circleAlert } from "easel:icons";
import { toast } from "../toasts";
import { pieces, Queue } from "../uploads";
import { bytes, duration, plural } from "../words";
import { status } from "../status";
import { ask } from "../ask";
import { whileSeen } from "../live";
import { Rows } from "../rows";
import { cell, onSubmit } from "./parts";

interface Model {
  id: string;
  name: string;
  family: string;
  about: string;
  bytes: number;
  place: string;
  embedded: boolean;
  native: [number, number];
  jobs: number;
}
interface Arrival {
  id: string;
  by: string;
  name: string | null;
  from: string;
  state: "waiting" | "running" | "failed" | "done";
  done: number;
  total: number | null;
  speed: number | null;
  error: string | null;
  again: boolean;
  model: string | null;
}
interface All {
  models: Model[];
  broken: { place: string; why: string }[];
  arrivals: Arrival[];
  folder: string;
}
interface Taken {
  offset: number;
  model: string | null;
}

const EVERY_MS = 1_000;
/** A model is large: its upload waits a good while for a connection that is away, in ms. */
const PATIENCE_MS = 15 * 60_000;
/** How a file is told from others: by so many samples of so many bytes. */
const SAMPLES = 16;
const SAMPLE = 256 << 10;
let again: () => void = () => {};
/** Uploads that this page is sending. */
const sending = new Map<string, AbortController>();

function remove(model: Model): void {
  const jobs = model.jobs === 0 ? "" : ` ${plural(model.jobs, "job")} that ${model.jobs === 1 ? "waits" : "wait"} for it will fail.`;
  ask({
    title: `Remove ${model.name}?`,
    text: `${bytes(model.bytes)} are freed.${jobs} Pictures made with it stay. To have it again it must be fetched again.`,
    confirm: "Remove the model",
    keep: "Keep",
    bad: true,
    run: async () => {
      await send("DELETE", `/admin/models/${encodeURIComponent(model.id)}`);
      toast(`${model.name} is removed.`);
      again();
    },
  });
}

function modelRow(model: Model): HTMLElement {
  const button = model.embedded ? null : make("button", { type: "button", class: "btn btn--ghost btn--bad" }, "Remove", make("span", { class: "vh" }, ` ${model.name}`));
  button?.addEventListener("click", () => remove(model));
  const place = model.embedded ? "inside the program" : model.place;
  return make(
    "tr",
    {},
    cell(null, "name wrap", make("b", {}, model.name), make("br"), make("span", { class: "meta mono" }, model.id)),
    cell(null, "quiet wrap wide", model.about),
    cell("Where", `place wrap ${model.embedded ? "quiet" : "mono"}`, place),
    cell("Size", "num quiet", bytes(model.bytes)),
    cell(null, "wide", make("div", { class: "row end" }, button)),
  );
}

function progressOf(a: Arrival): string {
  if (a.state === "waiting") return a.from === "" ? `${bytes(a.done)} of ${bytes(a.total ?? 0)} are here` : "Waits for its turn";
  const amount = a.total === null ? bytes(a.done) : `${bytes(a.done)} of ${bytes(a.total)}`;
  if (a.total !== null && a.done >= a.total) return `${amount}, being checked`;
  const left = a.total !== null && a.speed ? `, about ${duration((a.total - a.done) / a.speed)} left` : "";
  return `${amount}${a.speed ? `, ${bytes(a.speed)}/s` : ""}${left}`;
}

async function put(path: string, method: string, done: string | null): Promise<void> {
  try {
    await send(method, path);
    if (done) toast(done);
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  }
  again();
}

/** Mark and word of one that is on its way. */
function stateOf(a: Arrival): HTMLElement {
  if (a.state === "failed") return status("bad", "Failed");
  if (a.state === "done") return status("run", "Added");
  if (a.state === "waiting" && a.from === "" && !sending.has(a.id)) return status("warn", "Interrupted");
  return a.state === "waiting" && a.from !== "" ? status("off", "Waiting") : status("busy", a.from === "" ? "Uploading" : "Downloading");
}

function arrivalRow(a: Arrival): HTMLElement {
  const title = a.name ?? `from ${a.from}`;
  const acts = make("div", { class: "row end" });
  if (a.again) {
    const button = make("button", { type: "button", class: "btn" }, "Go on", make("span", { class: "vh" }, ` with ${title}`));
    button.addEventListener("click", () => void put(`/admin/arrivals/${a.id}/again`, "POST", null));
    acts.append(button);
  }
  if (a.state !== "done") {
    const word = a.state === "failed" ? "Dismiss" : "Cancel";
    const button = make("button", { type: "button", class: "btn btn--ghost" }, word, make("span", { class: "vh" }, ` ${title}`));
    button.addEventListener("click", () => {
      sending.get(a.id)?.abort();
      sending.delete(a.id);
      void put(`/admin/arrivals/${a.id}`, "DELETE", `${title} is ${a.state === "failed" ? "dismissed" : "cancelled"}.`);
    });
    acts.append(button);
  }
  const bar = make("div", { class: "bar" }, make("i"));
  setVar(bar, "--p", a.total ? Math.min(1, a.done / a.total) : 0);
  bar.hidden = a.state === "failed" || a.state === "done";
  const words = a.state === "failed" ? null : make("p", { class: "meta" }, a.state === "done" ? `${bytes(a.done)} as ${a.model ?? ""}` : progressOf(a));
  const why = a.error === null ? null : make("p", { class: "error" }, icon(circleAlert), make("span", {}, a.error));
  return make(
    "li",
    { class: "arrival" },
    make("div", { class: "stack" }, make("div", { class: "row row--wrap row--wide" }, make("b", { class: "wrap" }, title), stateOf(a)), bar, words, why),
    acts,
  );
}

/** What is wrong with files that were chosen last, a sentence each. */
const problems: string[] = [];

function showProblems(): void {
  const line = byId("file-error");
  line.hidden = problems.length === 0;
  if (problems.length > 0) setText(line.lastElementChild as Element, problems.join(" "));
}

function problem(words: string): void {
  problems.push(words);
  showProblems();
}

/** What tells a file from others of its name and size: the SHA-256 of samples from its beginning to its end. */
async function markOf(file: File): Promise<string> {
  const step = Math.max(0, file.size - SAMPLE) / (SAMPLES - 1);
  const samples = Array.from({ length: SAMPLES }, (_, i) => file.slice(Math.round(i * step), Math.round(i * step) + SAMPLE));
  const sum = await crypto.subtle.digest("SHA-256", await new Blob(samples).arrayBuffer());
  return [...new Uint8Array(sum)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function upload(file: File): Promise<void> {
  if (!/\.safetensors$/i.test(file.name)) return problem(`${file.name} does not end in .safetensors; only such files are read.`);
  // The upload of this very file that was broken off, or a new one.
  const body = { name: file.name, bytes: file.size, mark: await markOf(file) };
  const { id, offset } = await send<{ id: string; offset: number }>("POST", "/admin/arrivals", body);
  if (sending.has(id)) return;
  const stop = new AbortController();
  sending.set(id, stop);
  again();
  try {
    const path = `/admin/arrivals/${id}`;
    const isLast = (reply: Partial<Taken>): boolean => typeof reply.model === "string";
    const last = await pieces<Taken>({ path, file, at: offset, isLast, signal: stop.signal, patience: PATIENCE_MS });
    toast(`${file.name} is added as ${last.model ?? ""}.`);
  } finally {
    sending.delete(id);
    again();
  }
}

/** Uploads one of those that were chosen; why it is not there says which it is. */
async function tried(file: File): Promise<void> {
  try {
    await upload(file);
  } catch (e) {
    if (!(e instanceof DOMException && e.name === "AbortError")) problem(`${file.name}: ${wordsOf(e)}`);
  }
}

function startUploading(): void {
  const [drop, input] = [byId("drop"), byId<HTMLInputElement>("file")];
  const queue = new Queue<File>(tried, () => {
    const line = byId("files-waiting");
    line.hidden = queue.left === 0;
    setText(line, `${plural(queue.left, "more file")} ${queue.left === 1 ? "waits" : "wait"} for ${queue.left === 1 ? "its" : "their"} turn.`);
  });
  const take = (files: FileList | null | undefined): void => {
    if (!queue.busy) problems.length = 0;
    showProblems();
    queue.add([...(files ?? [])]);
  };
  drop.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
  for (const type of ["dragenter", "dragover"]) {
    drop.addEventListener(type, (e) => {
      e.preventDefault();
      drop.dataset.over = "";
    });
  }
  drop.addEventListener("dragleave", () => delete drop.dataset.over);
  drop.addEventListener("drop", (e) => {
    e.preventDefault();
    delete drop.dataset.over;
    take(e.dataTransfer?.files);
  });
  addEventListener("beforeunload", (e) => {
    if (queue.busy) e.preventDefault();
  });
}

function startFetching(): void {
  const form = byId<HTMLFormElement>("fetch-form");
  onSubmit(form, async (data) => {
    const body: Record<string, string> = {};
    for (const [name, value] of data) if (value !== "" || name === "url") body[name] = String(value).trim();
    await send("POST", "/admin/models", body);
    form.reset();
    toast("The download has begun.");
    again();
    byId("arriving").scrollIntoView({ block: "nearest" });
  });
}

export function start(): void {
  const models = new Rows<Model>(byId("models"), (m) => m.id, modelRow);
  const arrivals = new Rows<Arrival & { here: boolean }>(byId("arrivals"), (a) => a.id, arrivalRow);
  const broken = new Rows<{ place: string; why: string }>(byId("broken-list"), (b) => b.place, (b) =>
    make("li", {}, make("p", { class: "mono wrap" }, b.place), make("p", { class: "quiet" }, b.why)),
  );
  const show = (all: All): void => {
    setText(byId("folder"), all.folder);
    models.show(all.models);
    arrivals.show(all.arrivals.map((a) => ({ ...a, here: sending.has(a.id) })));
    broken.show(all.broken);
    byId("none").hidden = all.models.length > 0;
    byId("arriving").hidden = all.arrivals.length === 0;
    byId("broken").hidden = all.broken.length === 0;
  };
  show(embedded<All>("boot"));
  startFetching();
  startUploading();
  again = whileSeen(EVERY_MS, async () => show(await get<All>("/admin/models")));
}
