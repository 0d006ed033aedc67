// The one connection of a browser: a shared worker that holds the event stream for all tabs of a profile, so that
// any number of tabs fits into the few connections that HTTP/1.1 allows. Closed while no tab can be seen.

import { Stream, type Link } from "./stream";
import type { StreamEvent } from "./types";

export type ToWorker =
  { kind: "hello"; visible: boolean; after: number | null } | { kind: "seen"; visible: boolean } | { kind: "bye" };
export type FromWorker = { kind: "event"; event: StreamEvent } | { kind: "link"; link: Link };

/** A visible tab says so this often; one that died without a word is forgotten after twice that. */
export const HEARTBEAT_MS = 15_000;

interface Tab {
  visible: boolean;
  heard: number;
}

const tabs = new Map<MessagePort, Tab>();
const tell = (message: FromWorker): void => {
  for (const [port, tab] of tabs) if (tab.visible) port.postMessage(message);
};
const stream = new Stream(
  (event) => tell({ kind: "event", event }),
  (link) => tell({ kind: "link", link }),
);

function update(after: number | null = null): void {
  const now = performance.now();
  const watched = [...tabs.values()].some((t) => t.visible && now - t.heard < 2 * HEARTBEAT_MS + 1_000);
  if (watched) stream.start(after);
  else stream.stop();
}

function take(port: MessagePort, message: ToWorker): void {
  if (message.kind === "bye") {
    tabs.delete(port);
    update();
    return;
  }
  const tab = tabs.get(port);
  const appears = message.visible && !tab?.visible;
  tabs.set(port, { visible: message.visible, heard: performance.now() });
  update(message.kind === "hello" ? message.after : null);
  if (!appears) return;
  // Whatever it missed while hidden, or between the making of its page and now.
  port.postMessage({ kind: "link", link: stream.link } satisfies FromWorker);
  const after = message.kind === "hello" ? message.after : 0;
  for (const event of stream.replay(after)) port.postMessage({ kind: "event", event } satisfies FromWorker);
}

addEventListener("connect", (e) => {
  const port = (e as MessageEvent).ports[0];
  if (!port) return;
  port.onmessage = (m: MessageEvent<ToWorker>) => take(port, m.data);
  port.start();
});
setInterval(update, HEARTBEAT_MS);
