// The reference picture and its mask: where they come from, what they do to the recipe. The painter itself is loaded
// only when it is opened.

import { ApiError, wordsOf } from "../api";
import { byId, setText } from "../dom";
import { recall, remember } from "../settings";
import { toast } from "../toasts";
import type { Draft } from "../types";
import { upload } from "../uploads";
import { size } from "../words";
import type { Form } from "./form";
import { sizeLike } from "./sizes";
import type { Painter } from "./mask";

interface Seen {
  url: string;
  width: number;
  height: number;
}
/** One that the server has, as a browser remembers it. */
interface Kept extends Seen {
  /** `artifact:ID` or `upload:SHA256`. */
  name: string;
}
interface Reference extends Seen {
  /** None while the file is on its way. */
  name: string | null;
  /** Its name, once it is there. */
  sent: Promise<string>;
}

export class ReferencePicture {
  private reference: Reference | null = null;
  private painter: Painter | null = null;
  private maskName: string | null = null;
  /** Counts changes of the mask: what is sent of an earlier one is not this one's. */
  private maskTurn = 0;
  /** Counts choices: what is still being looked at does not replace a later one. */
  private turn = 0;
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
    const kept = recall<Kept | null>("reference", null);
    if (kept) this.takeUp(kept);
  }

  /** That of the last visit, unless it is gone. */
  private takeUp({ name, url, width, height }: Kept): void {
    this.use({ name, url, width, height }, false);
    const { reference } = this;
    this.picture.addEventListener("error", () => this.reference === reference && this.clear(), { once: true });
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
    this.use({ name: `artifact:${artifact.id}`, url: artifact.url, width: artifact.width, height: artifact.height }, sized);
  }

  private use(kept: Kept, sized: boolean): void {
    this.set({ ...kept, sent: Promise.resolve(kept.name) }, sized);
    remember("reference", kept);
  }

  /** Sets what a recipe was made from, with its mask as it was, or nothing; answers what is missing of it. */
  async restore(recipe: Draft): Promise<string | null> {
    if (!recipe.image) {
      this.turn += 1;
      if (this.reference) this.clear();
      return null;
    }
    const [kind, id] = recipe.image.split(":");
    const url = `/api/v1/${kind}s/${id}/file`;
    const turn = (this.turn += 1);
    const probe = new Image();
    probe.src = url;
    try {
      await probe.decode();
    } catch {
      if (turn === this.turn) this.clear();
      return "Its reference picture is not here: choose it again.";
    }
    if (turn !== this.turn) return null;
    this.use({ name: recipe.image, url, width: probe.naturalWidth, height: probe.naturalHeight }, false);
    this.maskName = recipe.mask ?? null;
    this.show();
    this.changed();
    return null;
  }

  /** A file of the artist's: shown at once, sent meanwhile. */
  async useFile(file: File): Promise<void> {
    const turn = (this.turn += 1);
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
    if (turn !== this.turn) return URL.revokeObjectURL(url);
    const reference: Reference = { name: null, url, width: probe.naturalWidth, height: probe.naturalHeight, sent: this.send(file, url) };
    this.set(reference, true);
    setText(byId("reference-facts"), "Sending");
    // That of before does not come back at the next visit.
    remember("reference", null);
    try {
      const name = (reference.name = await reference.sent);
      if (this.reference !== reference) return;
      const { width, height } = reference;
      remember("reference", { name, url: `/api/v1/uploads/${name.split(":")[1]}/file`, width, height } satisfies Kept);
      this.show();
      this.changed();
    } catch (e) {
      if (this.reference !== reference) return;
      this.clear();
      toast(wordsOf(e), { bad: true });
    }
  }

  /** The name that a file has once it is sent. */
  private async send(file: File, url: string): Promise<string> {
    const progress = (share: number): void => {
      if (this.reference?.url === url) setText(byId("reference-facts"), `Sending, ${Math.round(share * 100)} %`);
    };
    try {
      return (await upload(file, progress)).upload;
    } catch (e) {
      throw new ApiError(`The reference was not sent. ${wordsOf(e)}`, e instanceof ApiError ? e.status : 0);
    }
  }

  clear(): void {
    this.letGo();
    remember("reference", null);
    this.show();
    this.changed();
  }

  /** Of the reference and its mask nothing is left. */
  private letGo(): void {
    this.closePainter();
    this.turn += 1;
    this.painter = null;
    this.forgetMask();
    if (this.reference?.url.startsWith("blob:")) URL.revokeObjectURL(this.reference.url);
    this.reference = null;
  }

  private forgetMask(): void {
    this.maskName = null;
    this.maskTurn += 1;
  }

  /** The part of a recipe that this is about, for estimates: names only, nothing is sent. */
  draft(): Draft {
    return this.reference?.name ? this.part(this.reference.name, this.masked ? this.maskName : null) : {};
  }

  private part(image: string, mask: string | null): Draft {
    return { image, strength: this.form.strength.value, ...(mask ? { mask } : {}) };
  }

  /** The same for a job, as it is now: waits for what is on its way and sends the mask. Fails where that fails: no job is made
   * without the reference that it was meant for. */
  async ready(): Promise<Draft> {
    const { reference, painter, maskName, maskTurn } = this;
    if (!reference) return {};
    const part = this.part("", this.masked ? maskName : null);
    const drawn = this.masked && painter && !maskName ? painter.file(this.inverted) : null;
    const [image, mask] = await Promise.all([reference.sent, drawn]);
    if (!mask) return { ...part, image };
    const sent = (await upload(mask)).upload;
    if (maskTurn === this.maskTurn) this.maskName = sent;
    return { ...part, image, mask: sent };
  }

  async paint(): Promise<void> {
    const { reference } = this;
    if (!reference) return;
    try {
      const { Painter } = await import("./mask");
      if (this.reference !== reference) return;
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
    // Nothing was painted over the mask that came with settings: that one counts.
    if (this.maskName !== null && this.painter.coverage === 0) this.painter = null;
    this.painting(false);
    this.show();
  }

  get isPainting(): boolean {
    return this.openPainter !== null;
  }

  get openPainter(): Painter | null {
    return this.painter?.isOpen ? this.painter : null;
  }

  private removeMask(): void {
    this.closePainter();
    this.painter = null;
    this.maskChanged();
  }

  private maskChanged(): void {
    this.forgetMask();
    this.show();
    this.changed();
  }

  private set(reference: Reference, sized: boolean): void {
    this.letGo();
    this.reference = reference;
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
    if (reference.name === null) return;
    const share = this.painter?.coverage ?? 0;
    const given = this.masked && share === 0 ? ", with its mask" : "";
    const mask = share > 0 ? `, mask on ${Math.max(1, Math.round((this.inverted ? 1 - share : share) * 100))} %` : given;
    setText(byId("reference-facts"), size(reference.width, reference.height) + mask);
  }
}
