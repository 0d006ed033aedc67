// The one connection of a browser: a shared worker that holds the event stream for all tabs of a profile, so that
// any number of tabs fits into the few connections that HTTP/1.1 allows. Closed while no tab can be seen.

import { HEARTBEAT_MS, Stream, type Link } from "./stream";
import type { StreamEvent } from "./types";

export type ToWorker =
  { kind: "hello"; visible: boolean; after: number | null } | { kind: "seen"; visible: boolean } | { kind: "bye" };
export type FromWorker = { kind: "event"; event: StreamEvent } | { kind: "link"; link: Link };

interface Tab {
  visible: boolean;
  heard: number;
  /** Number of the last event that it knows of: that its page was made at, or that it was told. None: its page shows none. */
  last: number | null;
}

const tabs = new Map<MessagePort, Tab>();

function tell(port: MessagePort, tab: Tab, event: StreamEvent): void {
  if ("seq" in event) tab.last = Math.max(tab.last ?? 0, event.seq);
  port.postMessage({ kind: "event", event } satisfies FromWorker);
}

const stream = new Stream(
  (event) => {
    for (const [port, tab] of tabs) if (tab.visible) tell(port, tab, event);
  },
  (link) => {
    for (const [port, tab] of tabs) if (tab.visible) port.postMessage({ kind: "link", link } satisfies FromWorker);
  },
);

function update(after: number | null = null): void {
  const now = performance.now();
  // One that died without a word does not keep the stream open.
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
  const before = tabs.get(port);
  const last = message.kind === "hello" ? message.after : (before?.last ?? null);
  const tab: Tab = { visible: message.visible, heard: performance.now(), last };
  tabs.set(port, tab);
  update(message.kind === "hello" ? message.after : null);
  if (!message.visible || before?.visible) return;
  // Whatever it missed while hidden, or between the making of its page and now; nothing that it knows, for what its page
  // did with that since may not be undone.
  port.postMessage({ kind: "link", link: stream.link } satisfies FromWorker);
  for (const event of stream.replay(last)) tell(port, tab, event);
}

addEventListener("connect", (e) => {
  const port = (e as MessageEvent).ports[0];
  if (!port) return;
  port.onmessage = (m: MessageEvent<ToWorker>) => take(port, m.data);
  port.start();
});
setInterval(update, HEARTBEAT_MS);
