// Asks for a shell and goes to its page. Knows no terminal.

import { send, wordsOf } from "../api";
import { toast } from "../toasts";

/** A shell from this address of the API, once for each press of `button`. */
export async function openShell(path: string, button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  try {
    const { id } = await send<{ id: string }>("POST", path);
    location.assign(`/sessions/${id}`);
  } catch (e) {
    toast(wordsOf(e), { bad: true });
    button.disabled = false;
  }
}
