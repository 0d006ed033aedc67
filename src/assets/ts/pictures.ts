// Deleting pictures so that it can be undone. The server keeps a deleted picture for 30 seconds.

import { request, wordsOf } from "./api";
import { toast } from "./toasts";
import { plural } from "./words";

/** Deletes at once; `back` shows the pictures again when it is undone or refused. */
export async function deletePictures(ids: string[], back: () => void): Promise<void> {
  const each = (run: (id: string) => Promise<unknown>): Promise<unknown[]> => Promise.all(ids.map(run));
  const undo = async (): Promise<void> => {
    try {
      await each((id) => request(`/artifacts/${id}/restore`, { method: "POST" }));
      back();
    } catch (e) {
      toast(wordsOf(e), { bad: true });
    }
  };
  toast(`${plural(ids.length, "picture")} deleted`, { action: { label: "Undo", run: () => void undo() } });
  try {
    await each((id) => request(`/artifacts/${id}`, { method: "DELETE" }));
  } catch (e) {
    back();
    toast(wordsOf(e), { bad: true });
  }
}
