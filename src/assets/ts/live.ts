// Keeping a page in step with the panel: one question at a time, asked again by itself for as long as somebody sees the page.
// Knows no page.

import { ApiError, wordsOf } from "./api";
import { showLost } from "./lost";

/** A question that failed is asked again after so long, in ms. */
const AGAIN_MS = 3_000;

/** Asks when what it answers is called, when the page is seen again, and every `every` ms where a page looks by itself; null
 * is never. What is wanted while an answer is on its way is asked once more. What fails is told by the page's mark, and tried
 * again. */
export function whileSeen(every: number | (() => number | null), ask: () => Promise<void>): () => Promise<void> {
  const me = {};
  const rest = typeof every === "number" ? (): number => every : every;
  let timer = 0;
  let asking = false;
  let wanted = false;
  const next = async (): Promise<void> => {
    clearTimeout(timer);
    wanted = asking;
    if (document.visibilityState !== "visible" || asking) return;
    asking = true;
    let failed = false;
    try {
      await ask();
      showLost(me, null);
    } catch (e) {
      failed = true;
      // Whoever lost admin mode or the login is on the way to a door.
      if (!(e instanceof ApiError && (e.status === 401 || e.status === 403))) showLost(me, wordsOf(e));
    }
    asking = false;
    // Something changed while the answer was on its way, which may not know of it.
    if (failed) later(Math.min(AGAIN_MS, rest() ?? AGAIN_MS));
    else later(wanted ? 0 : rest());
  };
  const later = (ms: number | null): void => {
    if (ms !== null) timer = setTimeout(() => void next(), ms);
  };
  document.addEventListener("visibilitychange", () => void next());
  later(rest());
  return next;
}

/** Runs questions of which only the latest counts: an answer is null where another was asked meanwhile. */
export function latest<A extends unknown[], T>(ask: (...args: A) => Promise<T>): (...args: A) => Promise<T | null> {
  let turn = 0;
  return async (...args) => {
    const mine = (turn += 1);
    try {
      const answer = await ask(...args);
      return mine === turn ? answer : null;
    } catch (e) {
      if (mine === turn) throw e;
      return null;
    }
  };
}
