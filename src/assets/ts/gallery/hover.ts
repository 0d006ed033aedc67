// A video plays in its tile while the pointer or the focus rests there, without sound: one at a time, and none for who wants no
// movement. Knows tiles by their marks alone.

import { make } from "../dom";

/** So long the pointer rests before anything moves. */
const REST_MS = 300;

export function startHover(tiles: HTMLElement): void {
  let at: HTMLElement | null = null;
  let playing: HTMLVideoElement | null = null;
  let timer = 0;
  const stop = (): void => {
    clearTimeout(timer);
    playing?.removeAttribute("src");
    playing?.load();
    playing?.remove();
    playing = null;
  };
  const play = (tile: HTMLElement): void => {
    if (!tile.isConnected || tile !== at) return;
    playing = make("video", { loop: true, playsinline: true, "aria-hidden": true, tabindex: -1 });
    playing.muted = true;
    playing.src = `/api/v1/artifacts/${tile.dataset.id}/file`;
    tile.querySelector("a")?.append(playing);
    playing.play().catch(stop);
  };
  const rest = (target: EventTarget | null): void => {
    const tile = target instanceof Element ? target.closest<HTMLElement>(".tile[data-kind=video]") : null;
    if (tile === at) return;
    stop();
    at = tile;
    if (tile && !matchMedia("(prefers-reduced-motion: reduce)").matches) timer = setTimeout(() => play(tile), REST_MS);
  };
  for (const come of ["pointerover", "focusin"]) tiles.addEventListener(come, (e) => rest(e.target));
  for (const go of ["pointerleave", "focusout"]) tiles.addEventListener(go, () => rest(null));
  // A tile that is used again shows another one.
  addEventListener("scroll", () => rest(null), { passive: true });
}
