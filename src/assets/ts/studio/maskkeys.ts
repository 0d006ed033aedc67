// The keys of the mask painter: they count while it is open, before the page's own. Knows no canvas.

import { keys } from "../keys";
import type { Painter } from "./mask";

const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];

/** `open`: the painter, while it is open; `done` closes it. */
export function startMaskKeys(open: () => Painter | null, done: () => void): void {
  const group = "Mask";
  const when = (): boolean => open() !== null;
  // What links and buttons answer to as well is theirs while they have the focus.
  const onCanvas = (run: (painter: Painter) => void): boolean => {
    const painter = open();
    if (!painter?.hasFocus) return false;
    run(painter);
    return true;
  };
  keys(
    { group, says: "Brush", keys: ["b"], when, run: () => open()?.choose(false) },
    { group, says: "Eraser", keys: ["e"], when, run: () => open()?.choose(true) },
    { group, says: "Swap them", keys: ["x"], when, run: () => open()?.swap() },
    { group, says: "Smaller, larger", keys: ["[", "]"], when, repeats: true, run: (e) => open()?.grow(e.key === "[" ? -1 : 1) },
    { group, says: "Move the brush", keys: MOVES, when, run: (e) => onCanvas((painter) => painter.steer(e.key, false)) },
    {
      group,
      says: "Move it by its size",
      keys: MOVES.map((key) => `Shift+${key}`),
      when,
      run: (e) => onCanvas((painter) => painter.steer(e.key, true)),
    },
    { group, says: "Paint there", keys: [" "], when, run: () => onCanvas((painter) => painter.dab()) },
    { group, says: "Undo", keys: ["Ctrl+z"], when, repeats: true, run: () => open()?.undo() },
    { group, says: "Redo", keys: ["Ctrl+Shift+Z", "Ctrl+y"], when, repeats: true, run: () => open()?.redo() },
    {
      group,
      says: "Done",
      keys: ["Enter", "Escape"],
      when,
      run: (e) => {
        const elsewhere = document.activeElement !== document.body && !open()?.hasFocus;
        if (e.key === "Enter" && elsewhere) return false;
        done();
        return true;
      },
    },
  );
}
