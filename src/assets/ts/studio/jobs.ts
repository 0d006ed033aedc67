// The jobs and pictures of this page, and which one is looked at. Applies events in any order, any number of times.
// Knows no document.

import type { Artifact, Job, Recipe, StreamEvent } from "../types";

export interface LiveJob extends Job {
  /** Not answered by the server yet. */
  sending?: boolean;
  preview?: string;
  /** When this page first saw it, by `performance.now()`. */
  seen?: number;
}
export interface Picture extends Artifact {
  recipe: Recipe;
}
export type Looking = { kind: "job"; id: string } | { kind: "picture"; id: string } | null;

/** Pictures that the strip holds. */
const LATEST = 40;

/** A job that starts at once has no news of a queue; one that waits longer has. */
export const NO_NEWS_MS = 600;

/** Place in line, the running one counted as the first; null for a job that starts at once. */
export function placeInLine(job: LiveJob): number | null {
  if (job.place === null || job.sending) return null;
  return job.place > 1 || performance.now() - (job.seen ?? 0) > NO_NEWS_MS ? job.place + 1 : null;
}

export class Jobs {
  readonly jobs = new Map<string, LiveJob>();
  /** Newest job first; pictures of one job in their order. */
  pictures: Picture[] = [];
  looking: Looking = null;
  /** Called after every change. */
  changed: () => void = () => {};
  /** Called once when a job of this page has ended. */
  ended: (job: LiveJob) => void = () => {};

  private readonly seqs = new Map<string, number>();
  /** Deleted here: a job that ends tells all its pictures once more, these too. */
  private readonly gone = new Set<string>();
  private submitting = 0;
  private readonly held: StreamEvent[] = [];

  constructor(jobs: Job[], pictures: Picture[]) {
    for (const job of jobs) this.jobs.set(job.id, job);
    this.pictures = pictures;
    const running = jobs
      .filter((j) => j.state === "running" || j.state === "queued")
      .sort((a, b) => (a.state === b.state ? 0 : a.state === "running" ? -1 : 1))[0];
    const first = pictures[0];
    this.looking = running ? { kind: "job", id: running.id } : first ? { kind: "picture", id: first.id } : null;
  }

  get unfinished(): LiveJob[] {
    return [...this.jobs.values()].filter((j) => j.state === "queued" || j.state === "running");
  }

  picture(id: string): Picture | undefined {
    return this.pictures.find((p) => p.id === id);
  }

  get seen(): LiveJob | Picture | undefined {
    if (!this.looking) return undefined;
    return this.looking.kind === "job" ? this.jobs.get(this.looking.id) : this.picture(this.looking.id);
  }

  look(looking: Looking): void {
    this.looking = looking;
    this.changed();
  }

  /** A job of this page that is on its way to the server. Events of jobs still unknown wait until its answer. */
  submit(id: string, recipe: Recipe): LiveJob {
    const job: LiveJob = {
      id,
      state: "queued",
      sending: true,
      seen: performance.now(),
      progress: 0,
      step: 0,
      steps: recipe.steps,
      eta_s: null,
      place: null,
      error: null,
      loading: null,
      created: new Date().toISOString(),
      recipe,
    };
    this.submitting += 1;
    this.jobs.set(id, job);
    this.look({ kind: "job", id });
    return job;
  }

  submitted(temporary: string, id: string): void {
    const job = this.jobs.get(temporary);
    this.jobs.delete(temporary);
    this.submitting -= 1;
    // One that an answer was lost of may be known by now, or over.
    if (job && !this.jobs.has(id) && !this.seqs.has(id)) this.jobs.set(id, { ...job, id, sending: false });
    if (this.looking?.kind === "job" && this.looking.id === temporary) this.looking = { kind: "job", id };
    if (!this.jobs.has(id)) this.lookBeyond(id);
    for (const event of this.held.splice(0)) this.take(event);
    this.changed();
  }

  refused(temporary: string): void {
    this.jobs.delete(temporary);
    this.submitting -= 1;
    if (this.looking?.kind === "job" && this.looking.id === temporary) this.lookAtLatest();
    for (const event of this.held.splice(0)) this.take(event);
    this.changed();
  }

  lookAtLatest(): void {
    const first = this.pictures[0];
    this.looking = first ? { kind: "picture", id: first.id } : null;
  }

  forget(job: string): void {
    this.jobs.delete(job);
    if (this.looking?.kind === "job" && this.looking.id === job) this.lookAtLatest();
    this.changed();
  }

  /** Takes a picture away and returns how to bring it back. */
  remove(id: string): () => void {
    const at = this.pictures.findIndex((p) => p.id === id);
    const [picture] = this.pictures.splice(at, 1);
    this.gone.add(id);
    const next = this.pictures[Math.min(at, this.pictures.length - 1)];
    if (this.looking?.kind === "picture" && this.looking.id === id) this.looking = next ? { kind: "picture", id: next.id } : null;
    this.changed();
    return () => {
      this.gone.delete(id);
      if (!picture || this.picture(id)) return;
      // Others may have come meanwhile.
      this.add(picture);
      this.look({ kind: "picture", id });
    };
  }

  take(event: StreamEvent): void {
    if (event.type === "state") this.takeState(event);
    else if (event.type === "artifact") this.takeArtifact(event.artifact);
    else if (event.type === "tools" || event.type === "notices" || event.type === "dataset") return;
    else this.takeLive(event);
    this.changed();
  }

  private takeState(event: Extract<StreamEvent, { type: "state" }>): void {
    const { seq, job } = event;
    const known = this.jobs.get(job.id);
    if (!known && this.submitting > 0) {
      this.held.push(event);
      return;
    }
    if (seq > 0 && seq <= (this.seqs.get(job.id) ?? 0)) return;
    this.seqs.set(job.id, seq);
    const ended = job.state !== "queued" && job.state !== "running";
    if (ended && !known) {
      for (const a of job.artifacts ?? []) this.takeArtifact(a, job.recipe);
      return;
    }
    const preview = known?.preview;
    const seen = known?.seen ?? performance.now();
    this.jobs.set(job.id, { ...known, ...job, ...(preview ? { preview } : {}), seen, sending: false });
    if (!ended) {
      // Nothing hung here yet: a job from another tab or device is the first thing to look at.
      this.looking ??= { kind: "job", id: job.id };
      return;
    }
    for (const a of job.artifacts ?? []) this.takeArtifact(a, job.recipe);
    const now = this.jobs.get(job.id);
    if (known && (known.state === "queued" || known.state === "running") && now) this.ended(now);
    if (job.state === "done") this.finish(job.id);
    if (job.state === "cancelled") this.forget(job.id);
  }

  /** A done job becomes its pictures where it stood. */
  private finish(id: string): void {
    this.jobs.delete(id);
    this.lookBeyond(id);
  }

  /** Whoever looked at a job that is not here any more looks at its first picture. */
  private lookBeyond(id: string): void {
    if (this.looking?.kind !== "job" || this.looking.id !== id) return;
    const first = this.pictures.find((p) => p.job === id);
    if (first) this.looking = { kind: "picture", id: first.id };
    else this.lookAtLatest();
  }

  /** `of`: the recipe of the whole job, of which this is one picture. */
  private takeArtifact(artifact: Artifact, of = this.jobs.get(artifact.job)?.recipe): void {
    if (this.picture(artifact.id) || this.gone.has(artifact.id)) return;
    const recipe = artifact.recipe ?? (of && { ...of, seed: of.seed + artifact.index, batch: 1 });
    if (!recipe) return;
    this.looking ??= { kind: "picture", id: artifact.id };
    this.add({ ...artifact, recipe });
    this.pictures.length = Math.min(this.pictures.length, LATEST);
  }

  /** Puts a picture where it belongs. */
  private add(picture: Picture): void {
    this.pictures.push(picture);
    this.pictures.sort((a, b) => (a.job === b.job ? a.index - b.index : a.job < b.job ? 1 : -1));
  }

  private takeLive(event: Extract<StreamEvent, { job: string }>): void {
    const job = this.jobs.get(event.job);
    if (!job) {
      if (this.submitting > 0) this.held.push(event);
      return;
    }
    if (event.type === "step") {
      Object.assign(job, {
        state: "running",
        loading: null,
        step: event.step,
        steps: event.steps,
        progress: event.progress,
        eta_s: event.eta_s,
      });
    } else if (event.type === "loading") {
      Object.assign(job, { state: "running", loading: { model: event.model, done: event.done, total: event.total } });
    } else if (event.type === "preview") {
      job.preview = `data:image/webp;base64,${event.webp}`;
    } else if (event.type === "held") {
      // What was loaded before it had to wait is loaded anew.
      Object.assign(job, { error: event.error, loading: null });
    } else {
      Object.assign(job, { place: event.place, eta_s: event.eta_s });
    }
  }
}
