// One connection to the event stream: resumes where it stopped, keeps what a page that joins later must know.
// Runs in the shared worker, or in the page where there are none. Knows no document.

import type { Artifact, Job, StreamEvent } from "./types";

const URL_OF_EVENTS = "/api/v1/events";
/** A tab that is seen says so this often. */
export const HEARTBEAT_MS = 15_000;
/** Persisted events kept for pages that join later. */
const KEPT = 200;
/** The server ends every stream after 90 s; only a longer silence is worth a word. */
const LOST_AFTER_MS = 2_000;
const RETRY_FIRST_MS = 300;
const RETRY_MAX_MS = 5_000;

export type Link = "open" | "lost" | "logged-out";
const isFinal = (job: Job): boolean => job.state !== "queued" && job.state !== "running";

export class Stream {
  private source: EventSource | null = null;
  private last: number | null = null;
  private readonly kept: (StreamEvent & { seq: number })[] = [];
  /** What an unfinished job showed last: its state, step, place, preview. */
  private readonly live = new Map<string, Map<string, StreamEvent>>();
  /** Which version of what belongs to the whole studio was told last. */
  private readonly versions = new Map<"tools" | "notices", number>();
  private retry = RETRY_FIRST_MS;
  private retryTimer = 0;
  private lostTimer = 0;
  link: Link = "open";

  constructor(
    private readonly deliver: (event: StreamEvent) => void,
    private readonly linkChanged: (link: Link) => void,
  ) {}

  /** Opens the stream where it stopped, at first after `after`; does nothing while it is open. */
  start(after: number | null): void {
    if (this.source || this.retryTimer) return;
    this.last ??= after;
    // What was true when it stopped says nothing of now: somebody else may have logged in since.
    this.say("open");
    this.open();
  }

  stop(): void {
    this.source?.close();
    this.source = null;
    clearTimeout(this.retryTimer);
    clearTimeout(this.lostTimer);
    this.retryTimer = this.lostTimer = 0;
  }

  /** What a page that was made at `after` has missed, and how the unfinished jobs stand. */
  replay(after: number | null): StreamEvent[] {
    const missed = after === null ? [] : this.kept.filter((e) => e.seq > after);
    const versions = [...this.versions].map(([type, version]): StreamEvent => ({ type, version }));
    return [...missed, ...[...this.live.values()].flatMap((events) => [...events.values()]), ...versions];
  }

  private open(): void {
    const source = new EventSource(this.last === null ? URL_OF_EVENTS : `${URL_OF_EVENTS}?after=${this.last}`);
    this.source = source;
    source.onopen = () => {
      this.retry = RETRY_FIRST_MS;
      clearTimeout(this.lostTimer);
      this.lostTimer = 0;
      this.say("open");
    };
    source.onerror = () => this.reopen();
    for (const type of ["state", "artifact", "step", "loading", "preview", "place", "held", "tools", "notices", "dataset"] as const) {
      source.addEventListener(type, (e: MessageEvent<string>) => this.take(type, e));
    }
  }

  /** A new connection of our own making: the browser's would ask for the old place again. */
  private reopen(): void {
    this.source?.close();
    this.source = null;
    this.lostTimer ||= setTimeout(() => void this.lost(), LOST_AFTER_MS);
    this.retryTimer = setTimeout(() => {
      this.retryTimer = 0;
      this.open();
    }, this.retry);
    this.retry = Math.min(this.retry * 2, RETRY_MAX_MS);
  }

  /** An event stream does not say why it failed; a plain question does. */
  private async lost(): Promise<void> {
    this.lostTimer = 0;
    const answer = await fetch("/api/v1/me", { credentials: "same-origin" }).catch(() => null);
    if (answer?.status === 401) {
      this.stop();
      this.say("logged-out");
    } else if (!this.source || this.source.readyState !== EventSource.OPEN) {
      this.say("lost");
    }
  }

  private say(link: Link): void {
    if (this.link === link) return;
    this.link = link;
    this.linkChanged(link);
  }

  private take(type: StreamEvent["type"], message: MessageEvent<string>): void {
    const data = JSON.parse(message.data) as unknown;
    const seq = Number(message.lastEventId || 0);
    if (type === "state") {
      const job = data as Job;
      if (seq > 0) this.last = Math.max(this.last ?? 0, seq);
      if (isFinal(job)) this.live.delete(job.id);
      this.keep({ type, seq, job }, isFinal(job) ? null : job.id);
    } else if (type === "artifact") {
      if (seq > 0) this.last = Math.max(this.last ?? 0, seq);
      this.keep({ type, seq, artifact: data as Artifact }, null);
    } else if (type === "tools" || type === "notices") {
      const { version } = data as { version: number };
      // Told again with each connection, since it may have changed between two.
      if (this.versions.get(type) === version) return;
      this.versions.set(type, version);
      this.deliver({ type, version });
    } else if (type === "dataset") {
      this.deliver({ type, ...(data as object) } as StreamEvent);
    } else {
      const event = { type, ...(data as object) } as Extract<StreamEvent, { job: string }>;
      this.live.get(event.job)?.set(type, event);
      this.deliver(event);
    }
  }

  private keep(event: StreamEvent & { seq: number }, live: string | null): void {
    if (live) {
      const events = this.live.get(live) ?? new Map<string, StreamEvent>();
      this.live.set(live, events.set("state", event));
    }
    this.kept.push(event);
    if (this.kept.length > KEPT) this.kept.shift();
    this.deliver(event);
  }
}
