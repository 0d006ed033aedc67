// Runs in <head>, before the first paint: gives elements the custom properties that the server wrote as data
// attributes, because the content security policy allows no style attributes. Knows nothing else.

const PROPERTIES = { ar: "--ar" } as const;

function apply(element: HTMLElement): void {
  for (const [key, property] of Object.entries(PROPERTIES)) {
    const value = element.dataset[key];
    if (value !== undefined) element.style.setProperty(property, value);
  }
}

const watcher = new MutationObserver((records) => {
  for (const record of records) {
    for (const node of record.addedNodes) {
      if (node instanceof HTMLElement && node.attributes.length > 0) apply(node);
    }
  }
});
watcher.observe(document.documentElement, { childList: true, subtree: true });
addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll<HTMLElement>("[data-ar]")) apply(element);
  watcher.disconnect();
});
