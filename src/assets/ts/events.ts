// What happens to this profile's jobs, as a page hears it: through the shared worker, or from a stream of its own
// where the browser has none. Says when the connection is lost. Knows no job.

import { byId, setText } from "./dom";
import { Stream, type Link } from "./stream";
import type { StreamEvent } from "./types";
import type { FromWorker, ToWorker } from "./worker";
import { hour } from "./words";

const HEARTBEAT_MS = 15_000;
const visible = (): boolean => document.visibilityState === "visible";

function showLink(link: Link, since: Date): void {
  if (link === "logged-out") location.assign("/");
  const lost = byId("lost");
  lost.hidden = link === "open";
  setText(byId("lost").lastElementChild as Element, `Reconnecting since ${hour(since)}. Jobs go on meanwhile.`);
}

/** Calls `hear` for everything after `after` (the number that the page was made at), as long as the page is open. */
export function listen(after: number | null, hear: (event: StreamEvent) => void): void {
  const onLink = (link: Link): void => showLink(link, new Date());
  if (typeof SharedWorker === "undefined") {
    listenAlone(after, hear, onLink);
    return;
  }
  const { stream, profile } = document.body.dataset;
  const worker = new SharedWorker(stream ?? "", { type: "module", name: `easel-${profile}` });
  const post = (message: ToWorker): void => worker.port.postMessage(message);
  worker.port.onmessage = (m: MessageEvent<FromWorker>) => {
    if (m.data.kind === "event") hear(m.data.event);
    else onLink(m.data.link);
  };
  worker.onerror = () => listenAlone(after, hear, onLink);
  post({ kind: "hello", visible: visible(), after });
  document.addEventListener("visibilitychange", () => post({ kind: "seen", visible: visible() }));
  setInterval(() => post({ kind: "seen", visible: visible() }), HEARTBEAT_MS);
  addEventListener("pagehide", () => post({ kind: "bye" }));
  // A page that the browser kept and shows again has missed what happened meanwhile.
  addEventListener("pageshow", (e) => {
    if (e.persisted) location.reload();
  });
}

function listenAlone(after: number | null, hear: (event: StreamEvent) => void, onLink: (link: Link) => void): void {
  const stream = new Stream(hear, onLink);
  const update = (): void => (visible() ? stream.start(after) : stream.stop());
  document.addEventListener("visibilitychange", update);
  update();
}
