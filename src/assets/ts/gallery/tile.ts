// One picture, video or sound of the gallery as an element: made once from a model, used again for another one when it has
// left the screen. Knows no gallery.

import { check, music, play } from "easel:icons";
import { icon, make, setText } from "../dom";
import { kindOf, type Artifact, type Kind } from "../types";
import { running } from "../words";
import { dropStill, wantStill } from "./stills";
import type { Entry } from "./layout";

/** Parsed and built once; a clone costs a tenth of that. */
let model: HTMLLIElement | null = null;

function build(): HTMLLIElement {
  return make(
    "li",
    { class: "tile" },
    make("a", {}, make("img", { alt: "", decoding: "async" }), make("span", { class: "mark", hidden: true }, make("span"))),
    make("label", {}, make("input", { type: "checkbox", tabindex: -1 }), make("span", { class: "tick" }, icon(check))),
  );
}

export class Tile {
  readonly li: HTMLLIElement;
  readonly link: HTMLAnchorElement;
  private readonly image: HTMLImageElement;
  private readonly mark: HTMLElement;
  private readonly box: HTMLInputElement;
  private placed = "";
  private kind: Kind = "picture";
  /** Which entry of the gallery it shows. */
  index = -1;

  constructor() {
    model ??= build();
    this.li = model.cloneNode(true) as HTMLLIElement;
    const [link, label] = this.li.children;
    this.link = link as HTMLAnchorElement;
    this.image = this.link.firstElementChild as HTMLImageElement;
    this.mark = this.image.nextElementSibling as HTMLElement;
    this.box = label?.firstElementChild as HTMLInputElement;
    this.image.addEventListener("load", () => this.li.removeAttribute("data-bare"));
    this.image.addEventListener("error", () => {
      this.li.dataset.bare = "";
      this.fill();
    });
  }

  /** A video without a still gets one, as soon as it is known to be a video. */
  private fill(): void {
    const { id } = this.li.dataset;
    if (!id || this.kind !== "video" || this.li.dataset.bare === undefined) return;
    wantStill(id, () => {
      if (this.li.dataset.id === id && this.li.isConnected) this.image.src = `/api/v1/artifacts/${id}/thumb`;
    });
  }

  show(entry: Entry): void {
    this.li.dataset.id = entry.id;
    this.li.removeAttribute("data-bare");
    // What played in it was another one.
    this.link.querySelector("video")?.remove();
    this.tell(undefined);
    this.link.href = `/picture/${entry.id}`;
    this.image.width = entry.width;
    this.image.height = entry.height;
    this.image.src = `/api/v1/artifacts/${entry.id}/thumb`;
  }

  /** Leaves the document. Without its address, a picture that is still loading gives its connection free. */
  clear(): void {
    this.image.removeAttribute("src");
    if (this.li.dataset.id) dropStill(this.li.dataset.id);
    this.li.remove();
    this.placed = "";
  }

  /** Puts it there, in CSS pixels of the gallery; answers false where it stands there already. */
  place(index: number, x: number, y: number, width: number, height: number): boolean {
    const placed = `${index} ${x} ${y} ${width} ${height}`;
    if (this.placed === placed) return false;
    this.placed = placed;
    this.index = index;
    this.li.dataset.index = String(index);
    const { style } = this.li;
    style.translate = `${x}px ${y}px`;
    style.width = `${width}px`;
    style.height = `${height}px`;
    return true;
  }

  /** Marks what is played, and what moves by itself. */
  private tell(artifact: Artifact | undefined): void {
    const kind = kindOf(artifact);
    const mark = kind === "sound" ? music : kind === "video" || artifact?.animated ? play : null;
    this.mark.hidden = mark === null;
    if (this.mark.dataset.mark !== (mark ?? "")) {
      this.mark.dataset.mark = mark ?? "";
      this.mark.querySelector("svg")?.remove();
      if (mark) this.mark.prepend(icon(mark));
    }
    setText(this.mark.lastElementChild as HTMLElement, artifact?.duration_ms ? running(Math.max(1, Math.round(artifact.duration_ms / 1000))) : "");
    this.kind = kind;
    if (artifact) this.li.dataset.kind = kind;
    else this.li.removeAttribute("data-kind");
  }

  describe(alt: string, chosen: boolean, reachable: boolean, artifact: Artifact | undefined): void {
    if (artifact && this.li.dataset.kind === undefined) {
      this.tell(artifact);
      this.fill();
    }
    if (this.image.alt !== alt) {
      this.image.alt = alt;
      this.box.ariaLabel = `Select: ${alt}`;
    }
    if (this.box.checked !== chosen) this.box.checked = chosen;
    this.li.toggleAttribute("data-chosen", chosen);
    const tab = reachable ? 0 : -1;
    if (this.link.tabIndex !== tab) this.link.tabIndex = tab;
  }
}
