// How pictures will be cut at a training size: counts above, a frame over each picture.

import { triangleAlert } from "easel:icons";
import { get, wordsOf } from "../api";
import { all, byId, icon, make } from "../dom";
import { toast } from "../toasts";
import { plural, size } from "../words";
import type { Buckets, Cut } from "./shapes";

export class Sizes {
  private resolution = "";
  private asked = 0;

  constructor(
    private readonly dataset: string,
    private readonly show: (cuts: Map<string, Cut> | null) => void,
  ) {
    for (const radio of all<HTMLInputElement>("input[name=size]")) {
      // A browser may remember the last choice over a reload.
      if (radio.checked) this.resolution = radio.value;
      radio.addEventListener("change", () => {
        this.resolution = radio.value;
        void this.ask();
      });
    }
  }

  /** Asks again, since pictures came or went. */
  async ask(): Promise<void> {
    const box = byId("buckets");
    const turn = (this.asked += 1);
    if (this.resolution === "") {
      box.hidden = true;
      this.show(null);
      return;
    }
    try {
      const answer = await get<Buckets>(`/datasets/${this.dataset}/buckets?resolution=${this.resolution}`);
      if (turn !== this.asked) return;
      this.draw(box, answer);
      this.show(new Map(answer.pictures.map((cut) => [cut.id, cut])));
    } catch (e) {
      toast(wordsOf(e), { bad: true });
    }
  }

  private draw(box: HTMLElement, answer: Buckets): void {
    const side = size(answer.resolution, answer.resolution);
    const chips = answer.buckets.map((b) => make("li", { class: "badge" }, `${size(b.width, b.height)} · `, make("b", {}, plural(b.count, "picture"))));
    const warn = (text: string): HTMLElement => make("li", { class: "badge badge--warn" }, icon(triangleAlert), text);
    if (answer.small > 0) chips.push(warn(`${plural(answer.small, "picture")} smaller than ${side}`) as HTMLLIElement);
    if (answer.unusable > 0) chips.push(warn(`${plural(answer.unusable, "picture")} too narrow to train`) as HTMLLIElement);
    const help =
      "Buckets as sd-scripts makes them with bucket_no_upscale: pictures are scaled down, never up, and cut to steps of 64. What is " +
      "dark is cut off.";
    box.replaceChildren(make("ul", { class: "chips" }, ...chips), make("p", { class: "meta" }, help));
    box.hidden = false;
  }
}
