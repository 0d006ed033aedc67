// One picture's, video's or sound's page: keys, copy, delete, and the way into the studio.

import { embedded, setText, byId, all } from "./dom";
import { keys } from "./keys";
import { deleteAndLeave, offerUndo } from "./pictures";
import { remember } from "./settings";
import { startDrag } from "./studio/drop";
import { toast } from "./toasts";
import type { Artifact } from "./types";
import { created } from "./types";
import { moment } from "./words";

interface Boot {
  picture: Artifact;
  newer: string | null;
  older: string | null;
}
const { picture, newer, older } = embedded<Boot>("boot");

const handOver = (what: "settings" | "reference" | "mask"): void => {
  remember("handover", { do: what, picture });
  location.assign("/studio");
};

/** The video or sound; arrows and the space bar are its own while it has the focus. */
const player = document.getElementById("player") as HTMLMediaElement | null;
const inPlayer = (): boolean => player !== null && document.activeElement === player;

function playOrPause(): boolean {
  if (!player || document.activeElement !== document.body) return false;
  if (player.paused) void player.play().catch(() => {});
  else player.pause();
  return true;
}

const go = (id: string | null): boolean => {
  if (inPlayer()) return false;
  if (id) location.assign(`/picture/${id}`);
  return id !== null;
};

async function copyPrompt(): Promise<void> {
  try {
    await navigator.clipboard.writeText(picture.prompt);
    toast("Prompt copied", { life: 3000 });
  } catch {
    toast("This browser does not let pages copy here. Select the prompt and press Ctrl C.", { bad: true });
  }
}

/** Deleting moves on to the next picture, once it is done. */
let leaving = false;
async function remove(): Promise<void> {
  if (leaving) return;
  leaving = true;
  const next = older ?? newer;
  byId("delete").ariaBusy = "true";
  await deleteAndLeave(picture.id, next ? `/picture/${next}` : "/gallery");
  byId("delete").ariaBusy = null;
  leaving = false;
}

const group = "Picture";
keys(
  { group, says: "Newer", keys: ["ArrowLeft"], run: () => go(newer) },
  { group, says: "Older", keys: ["ArrowRight"], run: () => go(older) },
  ...(picture.recipe ? [{ group, says: "Use these settings", keys: ["u"], run: () => handOver("settings") }] : []),
  ...(player
    ? [{ group, says: "Play, pause", keys: [" "], run: playOrPause }]
    : [
        { group, says: "Use as reference", keys: ["r"], run: () => handOver("reference") },
        { group, says: "Paint a mask", keys: ["m"], run: () => handOver("mask") },
      ]),
  { group, says: "Download", keys: ["d"], run: () => byId("download").click() },
  { group, says: "Delete, can be undone", keys: ["Delete"], run: () => void remove() },
  { group, says: "Back to the gallery", keys: ["Escape"], run: () => location.assign("/gallery") },
);
for (const button of all("[data-hand]"))
  button.addEventListener("click", () => handOver(button.dataset.hand as "settings" | "reference" | "mask"));
// What was made without words has none to copy.
document.getElementById("copy")?.addEventListener("click", () => void copyPrompt());
byId("delete").addEventListener("click", () => void remove());
if (!player) startDrag(() => picture.id);
setText(byId("made"), moment(created(picture)));
offerUndo((id) => location.assign(`/picture/${id}`));
