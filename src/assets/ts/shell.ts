// Every page behind the door: theme, menus, keys, undo.

import { get } from "./api";
import { startBusy } from "./busy";
import { debounce, setText } from "./dom";
import { keys, startKeys } from "./keys";
import { startMenus } from "./menus";
import { startNotices } from "./notices";
import { startTheme } from "./theme";
import { undoable } from "./toasts";
import { moment } from "./words";

keys({
  group: "Anywhere",
  says: "Undo, as long as the message is there",
  keys: ["Ctrl+z"],
  run: () => {
    const action = undoable();
    if (!action) return false;
    action.run();
    return true;
  },
});
/** What is changed quickly, one thing after the other, is one question. */
const ASK_MS = 1_000;

/** Admin mode counts down. Only what needs it begins it anew, which the server knows: it is asked after whatever changes
 * something. At its end the page starts again. */
function startMinutes(): void {
  const form = document.querySelector<HTMLElement>("[data-minutes]");
  const shown = form?.querySelector("[data-minutes-left]");
  if (!form || !shown) return;
  let until = Date.now() + Number(form.dataset.minutes) * 60_000;
  const tick = (): void => {
    const left = Math.ceil((until - Date.now()) / 60_000);
    setText(shown, `${Math.max(0, left)} min`);
    // A little later than the server's own end, so that it agrees.
    if (until + 2_000 < Date.now()) location.reload();
  };
  setInterval(tick, 5_000);
  const ask = async (): Promise<void> => {
    const { admin_minutes } = await get<{ admin_minutes: number | null }>("/me");
    until = Date.now() + (admin_minutes ?? 0) * 60_000;
    tick();
  };
  // Where no answer comes, it counts on.
  addEventListener("easel:used", debounce(ASK_MS, () => void ask().catch(() => {})));
}

/** Where the pages do not fit into the bar, the one that is open is seen. */
function showPage(): void {
  const nav = document.querySelector<HTMLElement>(".top nav");
  const here = nav?.querySelector<HTMLElement>("[aria-current]");
  if (nav && here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.clientWidth) / 2;
}

showPage();
startBusy();
startKeys();
startMinutes();
startTheme();
startMenus();
startNotices();
/** Times that the server wrote for machines, in the reader's own words and zone. */
for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-moment]")) time.textContent = moment(new Date(time.dateTime));
