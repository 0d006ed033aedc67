// Stills of videos that have none yet: the first frame, drawn once by the first browser that shows the tile, and kept by the server
// for all that come after. One video is open at a time, and only for a tile that is still there. Knows no tile.

import { make } from "../dom";

/** Longest side of a still, in pixels. */
const SIDE = 512;
/** A video that has shown nothing by then is not waited for. */
const WAIT_MS = 15_000;

const wanted = new Map<string, () => void>();
/** Those that this browser cannot show. */
const failed = new Set<string>();
let busy = false;

/** Makes a still of a video, as soon as it is its turn; `done` is told when it can be asked for. */
export function wantStill(id: string, done: () => void): void {
  if (failed.has(id)) return;
  wanted.set(id, done);
  if (!busy) void work();
}

export function dropStill(id: string): void {
  wanted.delete(id);
}

async function work(): Promise<void> {
  busy = true;
  // The latest first: it is what is looked at now.
  for (let next = [...wanted.keys()].pop(); next !== undefined; next = [...wanted.keys()].pop()) {
    try {
      const body = await still(`/api/v1/artifacts/${next}/file`);
      // No person does this, so it is no use of the studio.
      const kept = await fetch(`/api/v1/artifacts/${next}/thumb`, { method: "PUT", credentials: "same-origin", headers: { "content-type": body.type }, body });
      if (!kept.ok) throw new Error("it is not kept");
      wanted.get(next)?.();
    } catch {
      failed.add(next);
    }
    wanted.delete(next);
  }
  busy = false;
}

/** The first frame of a video as a small picture. */
async function still(url: string): Promise<Blob> {
  const video = make("video", { muted: true, playsinline: true, preload: "auto" });
  video.muted = true;
  try {
    await new Promise<void>((seen, never) => {
      setTimeout(() => never(new Error("it shows nothing")), WAIT_MS);
      video.addEventListener("loadeddata", () => seen());
      video.addEventListener("error", () => never(new Error("it cannot be shown")));
      video.src = url;
    });
    const share = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    const canvas = make("canvas", {
      width: Math.max(1, Math.round(video.videoWidth * share)),
      height: Math.max(1, Math.round(video.videoHeight * share)),
    });
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return await new Promise((made, never) =>
      canvas.toBlob((blob) => (blob ? made(blob) : never(new Error("it cannot be drawn"))), "image/webp", 0.9),
    );
  } finally {
    // Without its address it gives decoder and connection free.
    video.removeAttribute("src");
    video.load();
  }
}
