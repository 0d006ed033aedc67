// The page's one mark of a lost connection: shown for as long as anybody has a reason to, in the words of whoever said so
// first. Knows no connection.

import { byId, setText } from "./dom";

const reasons = new Map<object, string>();

/** What `who` has to say of a connection, or null where all is well with it. */
export function showLost(who: object, words: string | null): void {
  if (words === null) reasons.delete(who);
  else reasons.set(who, words);
  const [first] = reasons.values();
  const mark = byId("lost");
  mark.hidden = first === undefined;
  if (first !== undefined) setText(mark.lastElementChild as Element, first);
}
