// The studio: wires the composer, the stage, the strip and the stream of events together.

import { ApiError, get, send, wordsOf } from "./api";
import { byId, embedded, setText, setVar } from "./dom";
import { listen } from "./events";
import { goTo, keys } from "./keys";
import { deletePictures } from "./pictures";
import { recall, remember } from "./settings";
import { startDrag, startDrop, type Found } from "./studio/drop";
import { Estimates } from "./studio/estimate";
import { Form, recipeOf } from "./studio/form";
import { Jobs, NO_NEWS_MS, type LiveJob, type Picture } from "./studio/jobs";
import { startMaskKeys } from "./studio/maskkeys";
import { ReferencePicture } from "./studio/reference";
import { submitJob } from "./studio/submit";
import { Stage, type View } from "./studio/stage";
import { Strip } from "./studio/strip";
import { Words } from "./studio/words";
import { toast } from "./toasts";
import type { Draft, Job, Model } from "./types";

interface Boot {
  seq: number | null;
  device: string;
  models: Model[];
  jobs: Job[];
  pictures: Picture[];
}

const boot = embedded<Boot>("boot");
const form = new Form(boot.models);
const words = new Words(form);
const reference = new ReferencePicture(form);
const put = recall<string[]>("put-away", []);
const jobs = new Jobs(
  boot.jobs.filter((j) => !put.includes(j.id)),
  boot.pictures,
);
const stage = new Stage(boot.models);
const strip = new Strip(jobs);
const busy = (): boolean => jobs.unfinished.length > 0;
const draft = (): Draft => ({ ...form.read(), ...reference.draft() });
// "2 × CPU, 1 core": a picture is made on one of them.
const device = boot.device.split(/[,;]/)[0]?.replace(/^\d+ × /, "") ?? boot.device;
const estimates = new Estimates(form, device, draft, busy);

// ── Drawing: at most once a frame, whatever happens in between ──
let scheduled = false;
function redraw(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

function view(): View {
  const { width, height } = form.read();
  if (reference.isPainting && reference.url) return { kind: "mask", url: reference.url, ...reference.measure };
  const seen = jobs.seen;
  if (!seen) return { kind: "first", ratio: width && height ? width / height : 1 };
  if (jobs.looking?.kind === "job") return { kind: "job", job: seen as LiveJob };
  const picture = seen as Picture;
  return { kind: "picture", picture, of: jobs.pictures.filter((p) => p.job === picture.job).length };
}

function draw(): void {
  // A job that has just come may turn out to wait: look again when that is news.
  const fresh = jobs.unfinished.some((j) => j.state === "queued" && performance.now() - (j.seen ?? 0) < NO_NEWS_MS);
  if (fresh) setTimeout(redraw, NO_NEWS_MS);
  stage.draw(view());
  strip.draw();
  setText(byId("generate-word"), busy() ? "Add to the queue" : reference.masked ? "Repaint the mask" : "Generate");
}

// ── Submitting ──
let submissions = 0;
/** Answers whether the server has it. */
async function submit(chosen?: Draft): Promise<boolean> {
  // What is plainly wrong is said here, before anything is sent or put away.
  if (!chosen && form.check()) {
    showWrong();
    return false;
  }
  const wanted = chosen ?? form.read();
  submissions += 1;
  const temporary = `sending-${submissions}`;
  reference.closePainter();
  jobs.submit(temporary, recipeOf(wanted));
  closeSettings();
  const asked = chosen ?? reference.ready().then((part) => ({ ...wanted, ...part }));
  // At once: pressed twice, it makes two pictures, and not one of them twice.
  const takeBack = chosen ? (): void => {} : form.nextSeed();
  try {
    const id = await submitJob(await asked);
    jobs.submitted(temporary, id);
    words.used(wanted.prompt ?? "");
    if (!chosen) form.complain([]);
    estimates.refresh();
    return true;
  } catch (e) {
    jobs.refused(temporary);
    takeBack();
    // What is wrong with the recipe of a job is not said of what stands in the form.
    if (chosen) toast(wordsOf(e), { bad: true });
    else refuse(e);
    return false;
  }
}

function refuse(e: unknown): void {
  const rest = e instanceof ApiError && e.fields.length > 0 ? form.complain(e.fields) : wordsOf(e);
  showWrong();
  if (rest) toast(rest, { bad: true });
}

/** Leads to the first field that cannot be taken as it is. */
function showWrong(): void {
  const invalid = document.querySelector<HTMLElement>("#composer [aria-invalid=true]");
  if (!invalid) return;
  openSettings();
  invalid.focus({ preventScroll: true });
  // With the sentence below it.
  invalid.scrollIntoView({ block: "center" });
}

async function cancel(): Promise<void> {
  const seen = jobs.looking?.kind === "job" ? jobs.jobs.get(jobs.looking.id) : undefined;
  const job = seen ?? jobs.unfinished[0];
  if (!job || job.sending) return;
  const button = byId("cancel");
  button.ariaBusy = "true";
  setText(byId("progress"), "Cancelling");
  try {
    await send("DELETE", `/jobs/${job.id}`);
    jobs.forget(job.id);
  } catch (e) {
    if (!(e instanceof ApiError && e.status === 404)) toast(wordsOf(e), { bad: true });
  } finally {
    button.ariaBusy = null;
  }
}

// ── What can be done with a picture ──
const seenPicture = (): Picture | undefined => (jobs.looking?.kind === "picture" ? jobs.picture(jobs.looking.id) : undefined);

async function useSettings({ draft: recipe, notes }: Found): Promise<void> {
  const replaced = form.use(recipe);
  const missing = await reference.restore(recipe);
  const more = [...notes, ...replaced, ...(missing ? [missing] : [])];
  const seed = recipe.seed === undefined ? "" : ", with the same seed";
  toast([`The form holds these settings now${seed}.`, ...more].join(" "), more.length > 0 ? {} : { life: 4000 });
}

function withPicture(run: (picture: Picture) => void): () => boolean {
  return () => {
    const picture = seenPicture();
    if (picture) run(picture);
    return picture !== undefined;
  };
}

const actions = {
  settings: withPicture((p) => void useSettings({ draft: { ...p.recipe, batch: 1 }, notes: [] })),
  reference: withPicture((p) => {
    reference.useArtifact(p);
    openSettings();
    byId("reference").scrollIntoView({ block: "nearest" });
  }),
  mask: (): boolean => {
    const picture = seenPicture();
    if (picture) reference.useArtifact(picture);
    if (reference.url) void reference.paint();
    return true;
  },
  download: withPicture(() => byId("download").click()),
  delete: withPicture((p) => {
    const back = jobs.remove(p.id);
    void deletePictures([p.id], (again) => again.forEach(back));
  }),
};

// ── Wall, zoom, sheet ──
const TONES = ["theme", "black", "grey", "white"];
const wall = byId("wall");
function setTone(tone: string): void {
  if (tone === "theme") delete wall.dataset.tone;
  else wall.dataset.tone = tone;
  remember("tone", tone);
}
function nextTone(): void {
  setTone(TONES[(TONES.indexOf(wall.dataset.tone ?? "theme") + 1) % TONES.length] ?? "theme");
}
function toggleZoom(): void {
  const zoomed = wall.dataset.zoom === "1";
  wall.dataset.zoom = zoomed ? "fit" : "1";
  for (const i of document.querySelectorAll<HTMLInputElement>("input[name=zoom]")) i.checked = i.value === wall.dataset.zoom;
}

const composer = byId("composer");
const opener = byId("open-settings");
function setSheet(open: boolean): void {
  composer.toggleAttribute("data-open", open);
  opener.ariaExpanded = String(open);
}
const openSettings = (): void => setSheet(true);
function closeSettings(): void {
  setSheet(false);
}

// ── Models that come and go while the page is open ──
async function refreshModels(): Promise<void> {
  const { models } = await get<{ models: Model[] }>("/models").catch(() => ({ models: [] as Model[] }));
  if (models.length === 0 || JSON.stringify(models) === JSON.stringify(boot.models)) return;
  // The page was made before the engine knew a model; what it shows first is made by the server.
  if (boot.models.length === 0) location.reload();
  boot.models = models;
  stage.setModels(models);
  form.setModels(models);
}

function start(): void {
  jobs.changed = redraw;
  jobs.ended = (job) => {
    if (job.state === "done") stage.say("Picture done");
    estimates.refresh();
  };
  form.changed = () => {
    words.refresh();
    estimates.refresh();
  };
  form.modelChanged = () => words.showModel();
  reference.changed = () => {
    redraw();
    estimates.refresh();
  };
  reference.painting = redraw;

  byId("composer").addEventListener("submit", (e) => {
    e.preventDefault();
    void submit();
  });
  byId("cancel").addEventListener("click", () => void cancel());
  byId("use-settings").addEventListener("click", actions.settings);
  byId("use-reference").addEventListener("click", actions.reference);
  byId("use-mask").addEventListener("click", actions.mask);
  byId("delete").addEventListener("click", actions.delete);
  byId("trouble-again").addEventListener("click", () => void again());
  byId("trouble-away").addEventListener("click", putAway);
  byId("tone").addEventListener("click", nextTone);
  for (const i of document.querySelectorAll("input[name=zoom]")) i.addEventListener("change", toggleZoom);
  opener.addEventListener("click", () => setSheet(!composer.hasAttribute("data-open")));
  for (const b of document.querySelectorAll<HTMLElement>(".start"))
    b.addEventListener("click", () => startFrom(b.dataset.prompt ?? ""));
  setTone(recall("tone", "theme"));
  startDrop({
    asReference: (what) => (what instanceof File ? void reference.useFile(what) : reference.useArtifact(what)),
    asSettings: (found) => void useSettings(found),
  });
  byId("latest").addEventListener("click", () => reference.closePainter(), true);
  startDrag((element) => element.closest<HTMLElement>("#latest li")?.dataset.id ?? (element as HTMLElement).dataset.id);
  startKeyboard();
  draw();
  words.refresh();
  estimates.refresh();
  listen(boot.seq, (event) => jobs.take(event));
  takeHandover();
  if (boot.models.length === 0) setInterval(() => void refreshModels(), 2000);
  addEventListener("focus", () => void refreshModels());
}

function startFrom(prompt: string): void {
  form.setPrompt(prompt);
  void submit();
}

/** A job that did not finish leaves the strip, for good in this browser. */
function putAway(): boolean {
  const job = jobs.seen;
  if (!job || !("state" in job) || (job.state !== "failed" && job.state !== "parked")) return false;
  put.unshift(job.id);
  remember("put-away", put.slice(0, 50));
  jobs.forget(job.id);
  return true;
}

/** The same recipe once more, in the failed job's place: that one stays until the server has the new one. */
async function again(): Promise<void> {
  const job = jobs.seen;
  if (!job || !("state" in job)) return;
  if (await submit(job.recipe)) jobs.forget(job.id);
  else if (jobs.jobs.has(job.id)) jobs.look({ kind: "job", id: job.id });
}

/** What the gallery or a picture's page handed over: settings, a reference, a mask to paint. */
function takeHandover(): void {
  const handed = recall<{ do: "settings" | "reference" | "mask"; picture: Picture } | null>("handover", null);
  if (!handed) return;
  remember("handover", null);
  if (handed.do === "settings") {
    void useSettings({ draft: { ...handed.picture.recipe, batch: 1 }, notes: [] });
    return;
  }
  reference.useArtifact(handed.picture);
  if (handed.do === "mask") void reference.paint();
}

function startKeyboard(): void {
  const group = "Studio";
  const group2 = "The picture";
  keys(
    { group, says: "Generate", keys: ["Ctrl+Enter"], inFields: true, run: () => void submit() },
    { group, says: "Cancel your job", keys: ["Shift+X"], run: () => void cancel() },
    { group, says: "Go to the prompt", keys: ["/"], run: () => goTo("prompt") },
    {
      group,
      says: "Last prompts",
      keys: ["Alt+ArrowUp", "Alt+ArrowDown"],
      inFields: true,
      run: (e) => words.recallPrompt(e.key === "ArrowUp" ? 1 : -1),
    },
    { group, says: "Surprise me", keys: ["Alt+r"], inFields: true, run: () => words.surprise() },
    {
      group,
      says: "Weight of the selected words",
      keys: ["Ctrl+ArrowUp", "Ctrl+ArrowDown"],
      inFields: true,
      run: (e) => words.weigh(e.key === "ArrowUp" ? 0.1 : -0.1),
    },
    { group: group2, says: "Newer, older", keys: ["ArrowLeft", "ArrowRight"], run: (e) => stepThrough(e) },
    { group: group2, says: "Use its settings", keys: ["u"], run: actions.settings },
    { group: group2, says: "Use as reference", keys: ["r"], run: actions.reference },
    { group: group2, says: "Paint a mask", keys: ["m"], run: actions.mask },
    { group: group2, says: "Download", keys: ["d"], run: actions.download },
    { group: group2, says: "Delete, can be undone", keys: ["Delete"], run: () => actions.delete() || putAway() },
    { group: group2, says: "Colour of the wall", keys: ["w"], run: nextTone },
    { group: group2, says: "Fit, 1:1", keys: ["z"], run: toggleZoom },
    {
      group,
      says: "Close the settings",
      keys: ["Escape"],
      inFields: true,
      run: () => (composer.hasAttribute("data-open") ? closeSettings() : false),
    },
  );
  startMaskKeys(
    () => reference.openPainter,
    () => reference.closePainter(),
  );
  // Safari keeps the page under the keyboard: the dock is lifted by what the keyboard covers.
  const screen = visualViewport;
  screen?.addEventListener("resize", () =>
    setVar(document.documentElement, "--kb", `${Math.max(0, innerHeight - screen.height - screen.offsetTop)}px`),
  );
}

/** Arrows belong to a slider or a radio group while that has the focus. */
function stepThrough(e: KeyboardEvent): boolean {
  if (e.target instanceof HTMLInputElement) return false;
  return strip.step(e.key === "ArrowLeft" ? -1 : 1);
}

start();
