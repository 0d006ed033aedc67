// Sends a job so that it is made once, also where an answer is lost: the same again goes under the same key. Knows no form.

import { ApiError, pause, send } from "../api";
import type { Draft } from "../types";

/** Times that a job is sent, and how long is waited before the next, in ms. */
const TRIES = 3;
const WAIT_MS = 1_000;

/** What was sent and not answered, with its keys: the server may have taken it. */
const unanswered = new Map<string, string>();

const newKey = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

/** The id of the job that it became. Without an answer it is sent again, and, when the artist presses the button once more
 * with nothing changed, once more as the same job. */
export async function submitJob(draft: Draft): Promise<string> {
  const text = JSON.stringify(draft);
  const key = unanswered.get(text) ?? newKey();
  for (let tries = 1; ; tries += 1) {
    try {
      const { id } = await send<{ id: string }>("POST", "/jobs", draft, { headers: { "idempotency-key": key } });
      unanswered.delete(text);
      return id;
    } catch (e) {
      const lost = e instanceof ApiError && e.unanswered;
      if (lost) unanswered.set(text, key);
      else unanswered.delete(text);
      if (!lost || tries === TRIES) throw e;
      await pause(WAIT_MS * tries);
    }
  }
}
