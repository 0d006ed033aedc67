// One picture of a dataset with its caption: what is cut off is drawn over it, what is typed saves itself.

import { circleAlert, trash2 } from "easel:icons";
import { icon, make, setText, setVar } from "../dom";
import { bytes, size } from "../words";
import { Caption, type State } from "./caption";
import type { Cut, Picture } from "./shapes";

export interface Deeds {
  remove: (picture: Picture) => void;
  /** The caption of the next card, or of the one before. */
  move: (from: HTMLElement, by: 1 | -1) => void;
  /** Whether it has a caption may have changed. */
  captioned: () => void;
}

export class Card {
  readonly element: HTMLLIElement;
  readonly area: HTMLTextAreaElement;
  readonly caption: Caption;
  private readonly facts = make("p", { class: "meta" });
  private readonly said = make("p", { class: "meta said", role: "status" });
  private readonly frame: HTMLElement;
  private readonly crop = make("span", { class: "crop", hidden: true });
  private readonly clash = make("div", { class: "clash", role: "alert", hidden: true });
  private cut: Cut | null = null;

  constructor(
    public picture: Picture,
    most: number,
    deeds: Deeds,
  ) {
    const p = picture;
    this.area = make("textarea", { id: `c-${p.id}`, rows: 4, maxlength: most, placeholder: "No caption yet" });
    // No alternative text of its own: the caption beside it is one.
    const img = make("img", { src: p.thumb, alt: "", width: p.width, height: p.height, loading: "lazy", decoding: "async" });
    this.frame = make("a", { class: "frame", href: p.url, target: "_blank", rel: "noopener", tabindex: -1, "aria-label": `Open ${p.name}` }, img, this.crop);
    setVar(this.frame, "--r", p.width / p.height);
    const remove = make("button", { type: "button", class: "btn btn--ghost btn--icon", "aria-label": `Remove ${p.name}`, title: "Remove (Ctrl Del in its caption)" }, icon(trash2));
    remove.addEventListener("click", () => deeds.remove(this.picture));
    this.element = make(
      "li",
      { class: "pcard", "data-id": p.id },
      make("div", { class: "hang" }, this.frame),
      make(
        "div",
        { class: "words" },
        make("div", { class: "row between" }, make("label", { class: "wrap", for: this.area.id }, p.name), remove),
        this.area,
        this.clash,
        make("div", { class: "row between" }, this.facts, this.said),
      ),
    );
    this.area.addEventListener("keydown", (e) => {
      const command = e.ctrlKey || e.metaKey;
      if (command && e.key === "Enter") deeds.move(this.element, e.shiftKey ? -1 : 1);
      else if (command && e.key === "Delete") deeds.remove(this.picture);
      else return;
      e.preventDefault();
    });
    this.caption = new Caption(p, this.area, (state, now) => {
      const had = this.hasCaption;
      this.picture = now;
      this.show(state);
      if (had !== this.hasCaption) deeds.captioned();
    });
    this.show(this.caption.state);
    this.drawFacts();
  }

  get hasCaption(): boolean {
    return this.picture.caption !== "";
  }

  update(picture: Picture): void {
    this.caption.update(picture);
    if (picture.version >= this.picture.version) this.picture = picture;
  }

  /** Draws what a training size cuts off; none takes it away. */
  showCut(cut: Cut | null): void {
    this.cut = cut;
    const [x, y, w, h] = cut?.kept ?? [0, 0, 1, 1];
    this.crop.hidden = cut === null || cut.bucket === null;
    setVar(this.crop, "--x", x);
    setVar(this.crop, "--y", y);
    setVar(this.crop, "--w", w);
    setVar(this.crop, "--h", h);
    this.element.toggleAttribute("data-small", cut?.small ?? false);
    this.drawFacts();
  }

  private drawFacts(): void {
    const { width, height, bytes: length } = this.picture;
    const own = `${size(width, height)}, ${bytes(length)}`;
    if (this.cut === null) return setText(this.facts, own);
    if (this.cut.bucket === null) return setText(this.facts, `${size(width, height)}: too narrow for any bucket`);
    const bucket = `${size(width, height)} → ${size(...this.cut.bucket)}`;
    setText(this.facts, this.cut.small ? `${bucket}, small` : bucket);
  }

  private show(state: State): void {
    const words = { saved: "", saving: "Saving", failed: "", clash: "" }[state.kind];
    this.said.classList.toggle("error", state.kind === "failed");
    if (state.kind === "failed") this.said.replaceChildren(icon(circleAlert), `Not saved: ${state.words} Your text is kept.`);
    else if (state.kind === "saved" && this.said.textContent !== "") setText(this.said, "Saved");
    else setText(this.said, words);
    this.clash.hidden = state.kind !== "clash";
    if (state.kind !== "clash") return;
    const mine = make("button", { type: "button", class: "btn" }, "Keep mine");
    const theirs = make("button", { type: "button", class: "btn" }, "Take theirs");
    mine.addEventListener("click", () => this.caption.keepMine());
    theirs.addEventListener("click", () => this.caption.takeTheirs());
    const newer = state.newer.caption === "" ? "It is empty there." : `“${state.newer.caption}”`;
    this.clash.replaceChildren(
      make("p", {}, "This caption was changed elsewhere meanwhile. There it reads:"),
      make("p", { class: "quiet wrap" }, newer),
      make("div", { class: "row row--wrap" }, theirs, mine),
    );
  }
}
