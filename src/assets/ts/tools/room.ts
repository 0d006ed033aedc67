// The memory of the graphics cards and who holds it, above the tools. Absent where there is no card. Knows no tool.

import { make, setVar } from "../dom";
import { bytes } from "../words";

export interface GraphicsCard {
  name: string;
  total: number;
  free: number;
  holders: { name: string; bytes: number; lets_go: boolean }[];
}

/** Fills of the holders, the largest first; what is beyond them shares the last. */
const FILLS = ["var(--accent)", "var(--ink-2)", "var(--ink-3)", "var(--edge)"];

function card(one: GraphicsCard, heading: string): Node[] {
  const track = make("div", { class: "track", role: "img" });
  const legend = make("div", { class: "legend" });
  const part = (share: number, fill: string, kind = ""): void => {
    const piece = make("i", { class: kind });
    setVar(piece, "--f", share);
    if (fill) setVar(piece, "--fill", fill);
    track.append(piece);
  };
  one.holders.forEach((holder, i) => {
    const fill = FILLS[Math.min(i, FILLS.length - 1)] ?? "";
    part(holder.bytes / one.total, fill);
    const mark = make("i", {});
    setVar(mark, "--fill", fill);
    legend.append(make("span", {}, mark, `${holder.name} ${bytes(holder.bytes)}${holder.lets_go ? ", lets go when asked" : ""}`));
  });
  part(one.free / one.total, "", "rest");
  track.ariaLabel = [...one.holders.map((h) => `${h.name} ${bytes(h.bytes)}`), `free ${bytes(one.free)}`].join(", ");
  if (one.holders.length === 0) legend.append(make("span", {}, "Nobody holds any of it."));
  const free = `${bytes(one.free)} of ${bytes(one.total)} free`;
  return [make("div", { class: "row between row--wrap" }, make("h2", {}, heading), make("span", { class: "quiet num" }, free)), track, legend];
}

/** Draws the cards into their section, and hides it where there are none. */
export function drawCards(section: HTMLElement, cards: GraphicsCard[]): void {
  section.hidden = cards.length === 0;
  const wanted = JSON.stringify(cards);
  if (section.dataset.drawn === wanted) return;
  section.dataset.drawn = wanted;
  const heading = (one: GraphicsCard): string => (cards.length > 1 ? `GPU memory, ${one.name}` : "GPU memory");
  section.replaceChildren(...cards.flatMap((one) => card(one, heading(one))));
}
