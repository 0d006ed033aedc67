// The reference picture and its mask: where they come from, what they do to the recipe. The painter itself is loaded
// only when it is opened.

import { wordsOf } from "../api";
import { byId, setText } from "../dom";
import { recall, remember } from "../settings";
import { toast } from "../toasts";
import type { Draft } from "../types";
import { upload } from "../uploads";
import { size } from "../words";
import type { Form } from "./form";
import { sizeLike } from "./sizes";
import type { Painter } from "./mask";

interface Reference {
  /** `artifact:ID` or `upload:SHA256`; absent while the file is on its way. */
  name: string | null;
  url: string;
  width: number;
  height: number;
}

export class ReferencePicture {
  private reference: Reference | null = null;
  private painter: Painter | null = null;
  private uploading: Promise<void> | null = null;
  private maskName: string | null = null;
  private readonly picture = byId<HTMLImageElement>("reference-picture");
  private readonly file = byId<HTMLInputElement>("reference-file");
  changed: () => void = () => {};
  /** The painter opens or closes. */
  painting: (open: boolean) => void = () => {};

  constructor(private readonly form: Form) {
    byId("reference-pick").addEventListener("click", () => this.file.click());
    this.file.addEventListener("change", () => {
      const file = this.file.files?.[0];
      if (file) void this.useFile(file);
      this.file.value = "";
    });
    byId("reference-remove").addEventListener("click", () => this.clear());
    byId("mask-open").addEventListener("click", () => void this.paint());
    byId("mask-remove").addEventListener("click", () => this.removeMask());
    for (const input of document.querySelectorAll("input[name=change]"))
      input.addEventListener("change", () => this.maskChanged());
    const kept = recall<Reference | null>("reference", null);
    if (kept) this.set(kept, false);
  }

  get url(): string | null {
    return this.reference?.url ?? null;
  }

  /** Width and height, for the frame. */
  get measure(): { width: number; height: number } {
    return { width: this.reference?.width ?? 1, height: this.reference?.height ?? 1 };
  }

  /** A mask was painted here, or came with settings that are used again. */
  get masked(): boolean {
    return this.painter ? this.painter.coverage > 0 : this.maskName !== null;
  }

  get inverted(): boolean {
    return document.querySelector<HTMLInputElement>("input[name=change][value=rest]")?.checked ?? false;
  }

  /** `sized`: the picture to come takes its shape. */
  useArtifact(artifact: { id: string; url: string; width: number; height: number }, sized = true): void {
    this.set({ name: `artifact:${artifact.id}`, url: artifact.url, width: artifact.width, height: artifact.height }, sized);
  }

  /** Sets what a recipe was made from, with its mask as it was, or nothing; answers what is missing of it. */
  async restore(recipe: Draft): Promise<string | null> {
    if (!recipe.image) {
      if (this.reference) this.clear();
      return null;
    }
    const [kind, id] = recipe.image.split(":");
    const url = `/api/v1/${kind}s/${id}/file`;
    const probe = new Image();
    probe.src = url;
    try {
      await probe.decode();
    } catch {
      this.clear();
      return "Its reference picture is not here: choose it again.";
    }
    this.set({ name: recipe.image, url, width: probe.naturalWidth, height: probe.naturalHeight }, false);
    this.maskName = recipe.mask ?? null;
    this.show();
    this.changed();
    return null;
  }

  /** A file of the artist's: shown at once, sent meanwhile. */
  async useFile(file: File): Promise<void> {
    const url = URL.createObjectURL(file);
    const probe = new Image();
    probe.src = url;
    try {
      await probe.decode();
    } catch {
      URL.revokeObjectURL(url);
      toast(`“${file.name}” is not a picture that can be read. PNG, JPEG and WebP can.`, { bad: true });
      return;
    }
    const reference: Reference = { name: null, url, width: probe.naturalWidth, height: probe.naturalHeight };
    this.set(reference, true);
    setText(byId("reference-facts"), "Sending");
    this.uploading = (async () => {
      try {
        const done = await upload(file, (share) => setText(byId("reference-facts"), `Sending, ${Math.round(share * 100)} %`));
        reference.name = done.upload;
      } catch (e) {
        if (this.reference === reference) this.clear();
        toast(`The reference was not sent. ${wordsOf(e)}`, { bad: true });
      } finally {
        this.uploading = null;
        this.show();
        this.changed();
      }
    })();
    await this.uploading;
  }

  clear(): void {
    this.closePainter();
    this.painter = null;
    this.maskName = null;
    this.reference = null;
    remember("reference", null);
    this.show();
    this.changed();
  }

  /** The part of a recipe that this is about, for estimates: names only, nothing is sent. */
  draft(): Draft {
    if (!this.reference?.name) return {};
    return {
      image: this.reference.name,
      strength: this.form.strength.value,
      ...(this.masked && this.maskName ? { mask: this.maskName } : {}),
    };
  }

  /** The same for a job: waits for what is on its way and sends the mask. */
  async ready(): Promise<Draft> {
    if (this.uploading) await this.uploading;
    if (this.masked && this.painter && !this.maskName) {
      const mask = await this.painter.file(this.inverted);
      this.maskName = (await upload(mask)).upload;
    }
    return this.draft();
  }

  async paint(): Promise<void> {
    const { reference } = this;
    if (!reference) return;
    try {
      const { Painter } = await import("./mask");
      this.painter ??= new Painter(reference, () => this.maskChanged());
      this.painting(true);
      this.painter.open(() => this.closePainter());
    } catch {
      toast("The mask painter did not load. Try again in a moment.", { bad: true });
    }
  }

  closePainter(): void {
    if (!this.painter?.isOpen) return;
    this.painter.close();
    this.painting(false);
    this.show();
  }

  get isPainting(): boolean {
    return this.painter?.isOpen ?? false;
  }

  private removeMask(): void {
    this.closePainter();
    this.painter = null;
    this.maskChanged();
  }

  private maskChanged(): void {
    this.maskName = null;
    this.show();
    this.changed();
  }

  private set(reference: Reference, sized: boolean): void {
    this.closePainter();
    this.painter = null;
    this.maskName = null;
    this.reference = reference;
    // Whatever can be shown again at the next visit; a file's own URL cannot.
    if (reference.name && reference.url.startsWith("/")) remember("reference", reference);
    const model = this.form.model;
    if (sized && model) {
      const { width, height } = sizeLike(model, reference.width, reference.height);
      this.form.setSize(width, height);
    }
    this.show();
    this.changed();
  }

  private show(): void {
    const { reference } = this;
    byId("reference-none").hidden = reference !== null;
    byId("reference-set").hidden = reference === null;
    byId("mask-remove").hidden = !this.masked;
    // A mask that came with settings can be kept or removed, not turned round.
    byId("change-row").hidden = !this.masked || this.painter === null;
    setText(byId("mask-open").lastElementChild as Element, this.masked && this.painter ? "Paint on" : "Paint mask");
    if (!reference) return;
    if (this.picture.getAttribute("src") !== reference.url) this.picture.src = reference.url;
    if (this.uploading) return;
    const share = this.painter?.coverage ?? 0;
    const given = this.masked && share === 0 ? ", with its mask" : "";
    const mask = share > 0 ? `, mask on ${Math.max(1, Math.round((this.inverted ? 1 - share : share) * 100))} %` : given;
    setText(byId("reference-facts"), size(reference.width, reference.height) + mask);
  }
}
