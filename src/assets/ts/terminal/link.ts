// The WebSocket before a terminal: bytes by their absolute number, words beside them, and going on where it was cut.
// Knows no screen.

import { ApiError, get } from "../api";

/** What the panel says beside the bytes. */
export type Word =
  | { kind: "hello"; from: number; age_s: number }
  | { kind: "gap"; from: number; dropped: number }
  | { kind: "size"; cols: number; rows: number }
  | { kind: "room"; viewers: number; you: boolean; typist: string | null }
  | { kind: "refused"; why: string }
  | { kind: "ended"; code: number | null; signal: number | null; after_s: number };

/** A session as the API shows it. */
export interface SessionView {
  id: string;
  tool: string | null;
  action: string;
  by: string;
  state: "running" | "ended" | "lost";
  code: number | null;
  signal: number | null;
  started: string;
  bytes: number;
  viewers: number;
}

export type LinkState = "open" | "lost" | "refused" | "gone";

const ACK_EVERY = 5_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 4_000;

export interface Hearer {
  bytes(bytes: Uint8Array, shown: () => void): void;
  word(word: Word): void;
  state(state: LinkState): void;
}

export class Link {
  private socket: WebSocket | null = null;
  /** Number of the next byte that is expected. */
  at = 0;
  private shown = 0;
  private acknowledged = 0;
  private retry = RETRY_FIRST_MS;
  private over = false;

  constructor(
    private readonly id: string,
    private readonly hear: Hearer,
  ) {}

  open(): void {
    const url = new URL(`/api/v1/sessions/${this.id}/attach?from=${this.at}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.retry = RETRY_FIRST_MS;
      this.hear.state("open");
    };
    socket.onmessage = (e: MessageEvent<ArrayBuffer | string>) => this.take(e.data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (!this.over) void this.again();
    };
    this.socket = socket;
  }

  say(word: { kind: "take" } | { kind: "give" } | { kind: "resize"; cols: number; rows: number }): void {
    this.text(word);
  }

  type(keys: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(keys.slice().buffer);
  }

  private text(word: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(word));
  }

  private take(data: ArrayBuffer | string): void {
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data);
      this.at += bytes.length;
      const upTo = this.at;
      this.hear.bytes(bytes, () => this.hasShown(upTo));
      return;
    }
    const word = JSON.parse(data) as Word;
    if (word.kind === "hello" || word.kind === "gap") {
      this.at = word.from;
      this.shown = this.acknowledged = word.from;
    } else if (word.kind === "ended") {
      this.over = true;
    }
    this.hear.word(word);
  }

  private hasShown(upTo: number): void {
    this.shown = Math.max(this.shown, upTo);
    if (this.shown - this.acknowledged < ACK_EVERY && this.shown < this.at) return;
    this.acknowledged = this.shown;
    this.text({ kind: "ack", up_to: this.shown });
  }

  /** A socket does not say why it was refused; a plain question does. */
  private async again(): Promise<void> {
    this.hear.state("lost");
    try {
      await get<SessionView>(`/sessions/${this.id}`);
    } catch (e) {
      const status = e instanceof ApiError ? e.status : 0;
      if (status === 403 || status === 404) {
        this.hear.state(status === 403 ? "refused" : "gone");
        return;
      }
    }
    setTimeout(() => this.open(), this.retry);
    this.retry = Math.min(this.retry * 2, RETRY_MAX_MS);
  }
}
