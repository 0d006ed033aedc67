// A button that is busy takes no second press, whether by mouse, by key, or by Enter in a field of its form. Knows no page.

export function startBusy(): void {
  const drop = (e: Event): void => {
    if (!(e.target instanceof Element) || !e.target.closest("button[aria-busy=true]")) return;
    e.preventDefault();
    e.stopImmediatePropagation();
  };
  // Before whoever waits for it.
  addEventListener("click", drop, { capture: true });
}
