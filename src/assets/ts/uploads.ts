// Bringing files to the server: in chunks, resumed where they stopped when the connection drops, a few at a time.

import { ApiError, pause, request, send } from "./api";

const CHUNK = 4 << 20;
/** How long an upload waits for a connection that is away, unless it says otherwise, in ms. */
const PATIENCE_MS = 2 * 60_000;
const AGAIN_FIRST_MS = 500;
const AGAIN_MAX_MS = 10_000;

/** Uploads of a page at a time; browsers have few connections for one address. */
const AT_ONCE = 3;

/** What waits for its upload. `run` tells of its own failures; `changed` hears when another one has begun or is over. */
export class Queue<T> {
  private readonly waiting: T[] = [];
  private running = 0;

  constructor(
    private readonly run: (item: T) => Promise<void>,
    private readonly changed: () => void,
  ) {}

  get busy(): boolean {
    return this.running > 0 || this.waiting.length > 0;
  }

  /** How many have not begun. */
  get left(): number {
    return this.waiting.length;
  }

  add(items: T[]): void {
    this.waiting.push(...items);
    while (this.running < AT_ONCE && this.waiting.length > 0) void this.next();
    this.changed();
  }

  private async next(): Promise<void> {
    const item = this.waiting.shift();
    if (item === undefined) return;
    this.running += 1;
    await this.run(item);
    this.running -= 1;
    void this.next();
    this.changed();
  }
}

export interface Uploaded {
  upload: string;
  width: number;
  height: number;
}

interface Begun {
  id: string;
  offset: number;
}

/** A file on its way to an upload that was begun. */
interface Sending<T> {
  path: string;
  file: Blob;
  /** Where to go on. */
  at: number;
  isLast: (reply: Partial<T>) => boolean;
  /** Hears shares from 0 to 1. */
  progress?: (share: number) => void;
  signal?: AbortSignal;
  patience?: number;
}

/** Sends a picture; `progress` hears shares from 0 to 1. */
export async function upload(file: Blob, progress: (share: number) => void = () => {}): Promise<Uploaded> {
  const { id, offset } = await send<Begun>("POST", "/uploads", { bytes: file.size });
  return pieces<Uploaded>({ path: `/uploads/${id}`, file, at: offset, isLast: (reply) => reply.upload !== undefined, progress });
}

/** Whether going on from where the server is may help: the connection is away, or another offset is wanted. */
const passes = (e: unknown): boolean => e instanceof ApiError && (e.unanswered || e.status === 409);

/** What was changed or moved since it was chosen cannot be read any more, which a browser tells as it tells a lost connection. */
async function readable(file: Blob): Promise<void> {
  await file.arrayBuffer().catch(() => {
    throw new Error("The file was changed or moved on this computer meanwhile. Choose it again.");
  });
}

/** Sends a file from `at` on, however often the connection is lost; the reply to its last piece. Where all is there and only
 * that reply was lost, an empty piece asks for it once more. */
export async function pieces<T extends object>({ path, file, at, isLast, ...more }: Sending<T>): Promise<T> {
  const { progress = () => {}, signal = null, patience = PATIENCE_MS } = more;
  /** When something was answered last. */
  let answered = performance.now();
  let rest = AGAIN_FIRST_MS;
  let lost = false;
  for (;;) {
    try {
      if (lost) {
        const head = await request(path, { method: "HEAD", signal });
        at = Number(head.headers.get("upload-offset") ?? at);
        lost = false;
      }
      const headers = { "upload-offset": String(at), "content-type": "application/octet-stream" };
      const answer = await request(path, { method: "PATCH", headers, body: file.slice(at, at + CHUNK), signal });
      const reply = (await answer.json()) as Partial<T> & { offset?: number };
      if (isLast(reply)) return reply as T;
      at = reply.offset ?? at + CHUNK;
      answered = performance.now();
      rest = AGAIN_FIRST_MS;
      progress(at / file.size);
    } catch (e) {
      if (!passes(e)) throw e;
      await readable(file.slice(at, at + 1));
      if (performance.now() - answered > patience) throw e;
      await pause(rest, signal ?? undefined);
      rest = Math.min(rest * 2, AGAIN_MAX_MS);
      lost = true;
    }
  }
}
