// How something stands: a dot whose form says it without colour, and a word. Knows no page.

import { make, setText } from "./dom";

export type Mark = "run" | "busy" | "off" | "warn" | "bad";

const SVG = "http://www.w3.org/2000/svg";
const DOTS: Record<Mark, string> = {
  run: "M7 2a5 5 0 1 1 0 10 5 5 0 1 1 0-10",
  busy: "M7 2a5 5 0 1 1-5 5",
  off: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 1 1 0-9",
  warn: "M7 2 12.6 12H1.4z",
  bad: "m3 3 8 8M11 3l-8 8",
};

export class Status {
  readonly element: HTMLElement;
  private readonly dot: SVGPathElement;
  private readonly word = make("span", { class: "num" });

  constructor() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "dot");
    svg.setAttribute("viewBox", "0 0 14 14");
    svg.setAttribute("aria-hidden", "true");
    this.dot = document.createElementNS(SVG, "path");
    this.dot.setAttribute("stroke-linecap", "round");
    this.dot.setAttribute("stroke-linejoin", "round");
    svg.append(this.dot);
    this.element = make("span", { class: "status" });
    this.element.append(svg, this.word);
  }

  say(mark: Mark, word: string): void {
    this.element.className = `status status--${mark}`;
    this.dot.setAttribute("d", DOTS[mark]);
    setText(this.word, word);
  }
}

/** One that does not change. */
export function status(mark: Mark, word: string): HTMLElement {
  const status = new Status();
  status.say(mark, word);
  return status.element;
}
