// A picture dragged over the studio, from the gallery, the strip or the desktop: two halves open, "as reference" and
// "its settings". Everything here can be done with buttons too.

import { ApiError, get, request, wordsOf } from "../api";
import { all, byId } from "../dom";
import { toast } from "../toasts";
import { kindOf, type Artifact, type Draft } from "../types";

/** What the gallery and the strip put into a drag. */
const ARTIFACT_TYPE = "application/x-easel-artifact";

interface Target {
  asReference: (what: File | Artifact) => void;
  asSettings: (found: Found) => void;
}

/** Settings read out of a picture, and sentences on what of them had to be replaced. */
export interface Found {
  draft: Draft;
  notes: string[];
}

type Dropped = { kind: "file"; file: File } | { kind: "artifact"; id: string };

function dropped(data: DataTransfer): Dropped | null {
  const id = data.getData(ARTIFACT_TYPE) || /\/picture\/([0-9A-Z]{26})/.exec(data.getData("text/uri-list"))?.[1];
  if (id) return { kind: "artifact", id };
  const file = data.files[0];
  return file ? { kind: "file", file } : null;
}

const couldBe = (data: DataTransfer | null): boolean =>
  data !== null && [...data.types].some((t) => t === "Files" || t === ARTIFACT_TYPE || t === "text/uri-list");

/** Reads the settings out of a picture file. */
async function inspect(file: File): Promise<Found> {
  const form = new FormData();
  form.append("file", file);
  const answer = await request("/inspect", { method: "POST", body: form }).catch((e: unknown) => {
    throw new ApiError(`“${file.name}” cannot be used: ${wordsOf(e)}`, e instanceof ApiError ? e.status : 0);
  });
  const { source, draft, notes } = (await answer.json()) as Found & { source: string | null };
  if (!source)
    throw new ApiError(`“${file.name}” holds no settings. Pictures from Easel, A1111 and SwarmUI do, as long as nothing has stripped them.`, 422);
  return { draft, notes };
}

/** One of the gallery that can be a reference. */
async function picture(id: string): Promise<Artifact> {
  const artifact = await get<Artifact>(`/artifacts/${id}`);
  const kind = kindOf(artifact);
  if (kind !== "picture") throw new ApiError(`A ${kind} cannot be a reference. Choose a picture.`, 422);
  return artifact;
}

async function use(what: Dropped, half: string, target: Target): Promise<void> {
  try {
    if (half === "reference") target.asReference(what.kind === "file" ? what.file : await picture(what.id));
    else if (what.kind === "file") target.asSettings(await inspect(what.file));
    else {
      const { recipe } = await get<Artifact>(`/artifacts/${what.id}`);
      if (recipe) target.asSettings({ draft: recipe, notes: [] });
    }
  } catch (e) {
    toast(wordsOf(e), { bad: true });
  }
}

export function startDrop(target: Target): void {
  const zone = byId("dropall");
  const halves = all<HTMLElement>("[data-drop]", zone);
  const over = (e: DragEvent): HTMLElement | undefined => halves.find((h) => e.composedPath().includes(h));
  const mark = (half: HTMLElement | undefined): void => {
    for (const h of halves) h.toggleAttribute("data-over", h === half);
  };
  const close = (): void => {
    zone.hidden = true;
    mark(undefined);
  };
  addEventListener("dragenter", (e) => {
    if (couldBe(e.dataTransfer)) zone.hidden = false;
  });
  addEventListener("dragover", (e) => {
    if (zone.hidden) return;
    e.preventDefault();
    mark(over(e));
  });
  addEventListener("dragleave", (e) => {
    if (e.relatedTarget === null) close();
  });
  addEventListener("dragend", close);
  addEventListener("keydown", (e) => {
    if (e.key === "Escape") close();
  });
  addEventListener("drop", (e) => {
    if (zone.hidden) return;
    e.preventDefault();
    const half = over(e)?.dataset.drop ?? "reference";
    const what = e.dataTransfer && dropped(e.dataTransfer);
    close();
    if (what) void use(what, half, target);
  });
  // A picture pasted from elsewhere becomes the reference.
  addEventListener("paste", (e) => {
    const file = e.clipboardData?.files[0];
    if (!file?.type.startsWith("image/")) return;
    e.preventDefault();
    target.asReference(file);
  });
}

/** Lets a picture be dragged by its id, wherever it is shown. */
export function startDrag(idOf: (element: Element) => string | undefined): void {
  addEventListener("dragstart", (e) => {
    const id = e.target instanceof Element ? idOf(e.target) : undefined;
    if (!id || !e.dataTransfer) return;
    e.dataTransfer.setData(ARTIFACT_TYPE, id);
    e.dataTransfer.effectAllowed = "copy";
  });
}
