// Bringing a file to the server: in chunks, resumed where it stopped when the connection drops.

import { ApiError, request, send } from "./api";

const CHUNK = 4 << 20;
const TRIES = 5;

export interface Uploaded {
  upload: string;
  width: number;
  height: number;
}

interface Begun {
  id: string;
  offset: number;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Sends a picture; `progress` hears shares from 0 to 1. */
export async function upload(file: Blob, progress: (share: number) => void = () => {}): Promise<Uploaded> {
  const { id, offset } = await send<Begun>("POST", "/uploads", { bytes: file.size });
  return pieces<Uploaded>(`/uploads/${id}`, file, offset, (reply) => reply.upload !== undefined, progress);
}

/** Sends a file from `at` on to an upload that was begun; the reply to its last piece. */
export async function pieces<T extends object>(
  path: string,
  file: Blob,
  at: number,
  isLast: (reply: Partial<T>) => boolean,
  progress: (share: number) => void,
  signal?: AbortSignal,
): Promise<T> {
  let tries = 0;
  for (;;) {
    try {
      const answer = await request(path, {
        method: "PATCH",
        headers: { "upload-offset": String(at), "content-type": "application/octet-stream" },
        body: file.slice(at, at + CHUNK),
        ...(signal ? { signal } : {}),
      });
      const reply = (await answer.json()) as Partial<T> & { offset?: number };
      if (isLast(reply)) return reply as T;
      at = reply.offset ?? at + CHUNK;
      tries = 0;
      progress(at / file.size);
    } catch (e) {
      tries += 1;
      if (!(e instanceof ApiError) || !(e.unreachable || e.status === 409) || tries > TRIES) throw e;
      await pause(300 * 2 ** tries);
      const head = await request(path, { method: "HEAD" });
      at = Number(head.headers.get("upload-offset") ?? at);
    }
  }
}
