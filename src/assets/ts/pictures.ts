// Deleting pictures so that it can be undone. The server keeps a deleted picture for 30 seconds.

import { ApiError, pause, send, wordsOf } from "./api";
import { toast } from "./toasts";
import { plural } from "./words";

/** Pictures of one request at most. */
const MOST = 10_000;
/** Waits, in ms, before a deletion that nobody answered is asked for again: deleting twice deletes once. */
const AGAIN_MS = [500, 1_000, 2_000, 4_000, 8_000];
/** Where a page that is left says to the next one what it deleted. */
const DELETED = "easel.deleted";

/** Runs one request after another for so many of them each; what fails leaves the rest as it is. */
async function inParts(ids: string[], run: (part: string[]) => Promise<void>): Promise<void> {
  for (let i = 0; i < ids.length; i += MOST) await run(ids.slice(i, i + MOST));
}

/** Deletes, and asks again where the answer is lost: only the server knows whether it had heard. */
async function deleteThem(ids: string[]): Promise<void> {
  for (const wait of AGAIN_MS) {
    try {
      return await send("POST", "/artifacts/delete", { ids });
    } catch (e) {
      if (!(e instanceof ApiError && e.unanswered)) throw e;
    }
    await pause(wait);
  }
  return send("POST", "/artifacts/delete", { ids });
}

/** Brings pictures back, and says where it is too late for some; those that are back. */
async function restore(ids: string[]): Promise<string[]> {
  const there: string[] = [];
  try {
    await inParts(ids, async (part) => void there.push(...(await send<{ ids: string[] }>("POST", "/artifacts/restore", { ids: part })).ids));
    const gone = ids.length - there.length;
    if (gone > 0) toast(`It is too late for ${gone === 1 ? "one picture: it is" : `${plural(gone, "picture")}: they are`} gone.`, { bad: true });
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  }
  return there;
}

/** Deletes at once; `back` shows pictures again that were brought back, or not deleted. */
export async function deletePictures(ids: string[], back: (ids: string[]) => void): Promise<void> {
  let deleted = 0;
  const deleting = inParts(ids, async (part) => {
    await deleteThem(part);
    deleted += part.length;
  });
  const undo = async (): Promise<void> => {
    // What is not deleted yet cannot be brought back; what was refused is told below.
    await deleting.catch(() => {});
    back(await restore(ids.slice(0, deleted)));
  };
  toast(`${plural(ids.length, "picture")} deleted`, { action: { label: "Undo", run: () => void undo() } });
  try {
    await deleting;
  } catch (e) {
    back(ids.slice(deleted));
    toast(wordsOf(e), { bad: true });
  }
}

/** Deletes the picture of a page that is left then: the next page shows the way back. */
export async function deleteAndLeave(id: string, next: string): Promise<void> {
  try {
    await deleteThem([id]);
  } catch (e) {
    toast(wordsOf(e), { bad: true });
    return;
  }
  sessionStorage.setItem(DELETED, id);
  location.assign(next);
}

/** On the next page: undo is still possible. */
export function offerUndo(back: (id: string) => void): void {
  const id = sessionStorage.getItem(DELETED);
  sessionStorage.removeItem(DELETED);
  if (!id) return;
  const undo = async (): Promise<void> => (await restore([id])).forEach(back);
  toast("1 picture deleted", { action: { label: "Undo", run: () => void undo() } });
}
