// One picture of the gallery as an element: made once from a model, used again for another picture when it has left
// the screen. Knows no gallery.

import { check } from "easel:icons";
import { icon, make } from "../dom";
import type { Entry } from "./layout";

/** Parsed and built once; a clone costs a tenth of that. */
let model: HTMLLIElement | null = null;

function build(): HTMLLIElement {
  return make(
    "li",
    { class: "tile" },
    make("a", {}, make("img", { alt: "", decoding: "async" })),
    make("label", {}, make("input", { type: "checkbox", tabindex: -1 }), make("span", { class: "tick" }, icon(check))),
  );
}

export class Tile {
  readonly li: HTMLLIElement;
  readonly link: HTMLAnchorElement;
  private readonly image: HTMLImageElement;
  private readonly box: HTMLInputElement;
  private placed = "";
  /** Which entry of the gallery it shows. */
  index = -1;

  constructor() {
    model ??= build();
    this.li = model.cloneNode(true) as HTMLLIElement;
    const [link, label] = this.li.children;
    this.link = link as HTMLAnchorElement;
    this.image = this.link.firstElementChild as HTMLImageElement;
    this.box = label?.firstElementChild as HTMLInputElement;
  }

  show(entry: Entry): void {
    this.li.dataset.id = entry.id;
    this.link.href = `/picture/${entry.id}`;
    this.image.width = entry.width;
    this.image.height = entry.height;
    this.image.src = `/api/v1/artifacts/${entry.id}/thumb`;
  }

  /** Leaves the document. Without its address, a picture that is still loading gives its connection free. */
  clear(): void {
    this.image.removeAttribute("src");
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

  describe(alt: string, chosen: boolean, reachable: boolean): void {
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
