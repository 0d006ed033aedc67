// A caption that saves itself: what is typed goes to the server when the typing pauses, a draft is kept in the browser until
// it is there, and what somebody else wrote meanwhile is never written over without being asked.

import { ApiError, send, wordsOf } from "../api";
import { forget, recall, remember } from "../settings";
import type { Picture } from "./shapes";

const PAUSE_MS = 700;
const RETRY_FIRST_MS = 2_000;
const RETRY_MAX_MS = 30_000;

export type State =
  | { kind: "saved" }
  | { kind: "saving" }
  | { kind: "failed"; words: string }
  /** Changed elsewhere: both texts are there, and nothing is sent until one is chosen. */
  | { kind: "clash"; newer: Picture };

/** As the server keeps it: without blanks at the ends. */
const tidy = (text: string): string => text.replace(/\r\n?/g, "\n").trim();

interface Draft {
  text: string;
  version: number;
}

export class Caption {
  private timer = 0;
  private sending = false;
  private wanted = false;
  private retry = RETRY_FIRST_MS;
  state: State = { kind: "saved" };

  constructor(
    private picture: Picture,
    private readonly area: HTMLTextAreaElement,
    private readonly changed: (state: State, picture: Picture) => void,
  ) {
    area.value = picture.caption;
    area.addEventListener("input", () => this.typed());
    area.addEventListener("blur", () => void this.flush());
    this.takeUp();
  }

  private get dirty(): boolean {
    return tidy(this.area.value) !== this.picture.caption;
  }

  private get key(): string {
    return `caption-${this.picture.id}`;
  }

  /** The picture as the server has it now, perhaps with a caption of another browser. */
  update(picture: Picture): void {
    if (picture.version < this.picture.version) return;
    const untouched = !this.dirty && !this.sending;
    if (untouched) {
      this.picture = picture;
      if (tidy(this.area.value) !== picture.caption) this.area.value = picture.caption;
    } else if (tidy(this.area.value) === picture.caption) {
      this.picture = picture;
      this.settle();
    } else if (this.state.kind === "clash" && picture.version > this.state.newer.version) {
      this.show({ kind: "clash", newer: picture });
    }
    // Otherwise the next saving meets the newer one, and both are shown.
  }

  /** Keeps the text of here, over the newer one. */
  keepMine(): void {
    if (this.state.kind !== "clash") return;
    this.picture = this.state.newer;
    this.show({ kind: "saving" });
    void this.save();
  }

  /** Takes the newer text. */
  takeTheirs(): void {
    if (this.state.kind !== "clash") return;
    this.picture = this.state.newer;
    this.area.value = this.picture.caption;
    this.settle();
  }

  /** Saves now what waits for a pause. */
  async flush(): Promise<void> {
    if (!this.dirty || this.state.kind === "clash") return;
    clearTimeout(this.timer);
    await this.save();
  }

  /** The page goes: the browser sends this last one behind it. */
  leave(): void {
    if (!this.dirty || this.state.kind === "clash") return;
    const body = JSON.stringify({ caption: this.area.value, version: this.picture.version });
    const headers = { "content-type": "application/json" };
    void fetch(`/api/v1/dataset-pictures/${this.picture.id}/caption`, { method: "PUT", keepalive: true, headers, body }).catch(() => {});
  }

  /** What an earlier page could not save. */
  private takeUp(): void {
    const draft = recall<Draft | null>(this.key, null);
    if (draft === null) return;
    if (tidy(draft.text) === this.picture.caption) {
      forget(this.key);
      return;
    }
    this.area.value = draft.text;
    if (draft.version === this.picture.version) this.typed();
    else this.show({ kind: "clash", newer: this.picture });
  }

  private typed(): void {
    if (!this.dirty) {
      clearTimeout(this.timer);
      if (this.state.kind !== "clash") this.settle();
      return;
    }
    remember(this.key, { text: this.area.value, version: this.picture.version } satisfies Draft);
    if (this.state.kind === "clash") return;
    this.show({ kind: "saving" });
    this.later(PAUSE_MS);
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), ms);
  }

  private async save(): Promise<void> {
    if (this.sending) {
      this.wanted = true;
      return;
    }
    this.sending = true;
    const sent = this.area.value;
    try {
      const body = { caption: sent, version: this.picture.version };
      this.picture = await send<Picture>("PUT", `/dataset-pictures/${this.picture.id}/caption`, body);
      this.retry = RETRY_FIRST_MS;
      if (this.dirty) this.later(PAUSE_MS);
      else this.settle();
    } catch (e) {
      this.refused(e);
    }
    this.sending = false;
    if (this.wanted) {
      this.wanted = false;
      void this.flush();
    }
  }

  private refused(e: unknown): void {
    const newer = e instanceof ApiError && e.status === 409 ? (e.answer as { picture?: Picture }).picture : undefined;
    if (newer) {
      this.show({ kind: "clash", newer });
      return;
    }
    this.show({ kind: "failed", words: wordsOf(e) });
    // What the server refuses for good is not sent again by itself; a lost connection or a full disk is.
    if (e instanceof ApiError && !e.unreachable && e.status < 500) return;
    this.later(this.retry);
    this.retry = Math.min(this.retry * 2, RETRY_MAX_MS);
  }

  private settle(): void {
    forget(this.key);
    this.show({ kind: "saved" });
  }

  private show(state: State): void {
    this.state = state;
    this.changed(state, this.picture);
  }
}
