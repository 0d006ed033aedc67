// What happens to this profile's jobs, as a page hears it: through the shared worker, or from a stream of its own
// where the browser has none. Says when the connection is lost. Knows no job.

import { showLost } from "./lost";
import { HEARTBEAT_MS, Stream, type Link } from "./stream";
import type { StreamEvent } from "./types";
import type { FromWorker, ToWorker } from "./worker";
import { hour } from "./words";

type Hear = (event: StreamEvent) => void;

const hearers = new Set<Hear>();
let connected = false;
const visible = (): boolean => document.visibilityState === "visible";

function tell(event: StreamEvent): void {
  for (const hear of hearers) hear(event);
}

function showLink(link: Link): void {
  if (link === "logged-out") location.assign("/");
  showLost(hearers, link === "open" ? null : `Reconnecting since ${hour(new Date())}. Jobs go on meanwhile.`);
}

/** Calls `hear` for everything after `after` (the number that the page was made at), as long as the page is open; with null
 * for what comes from now on. All of a page hear one connection, which begins at the page's own number. */
export function listen(after: number | null, hear: Hear): void {
  hearers.add(hear);
  if (after !== null || document.readyState === "complete") connect(after);
  // The page's own script runs before that, and may name a number.
  else addEventListener("DOMContentLoaded", () => connect(null), { once: true });
}

function connect(after: number | null): void {
  if (connected) return;
  connected = true;
  if (typeof SharedWorker === "undefined") {
    connectAlone(after);
    return;
  }
  const { stream, profile } = document.body.dataset;
  const worker = new SharedWorker(stream ?? "", { type: "module", name: `easel-${profile}` });
  const post = (message: ToWorker): void => worker.port.postMessage(message);
  worker.port.onmessage = (m: MessageEvent<FromWorker>) => {
    if (m.data.kind === "event") tell(m.data.event);
    else showLink(m.data.link);
  };
  worker.addEventListener("error", () => connectAlone(after), { once: true });
  post({ kind: "hello", visible: visible(), after });
  document.addEventListener("visibilitychange", () => post({ kind: "seen", visible: visible() }));
  setInterval(() => post({ kind: "seen", visible: visible() }), HEARTBEAT_MS);
  addEventListener("pagehide", () => post({ kind: "bye" }));
  // A page that the browser kept and shows again has missed what happened meanwhile.
  addEventListener("pageshow", (e) => {
    if (e.persisted) location.reload();
  });
}

function connectAlone(after: number | null): void {
  const stream = new Stream(tell, showLink);
  const update = (): void => (visible() ? stream.start(after) : stream.stop());
  document.addEventListener("visibilitychange", update);
  update();
}
