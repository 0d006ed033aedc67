// Style elements as constructed style sheets: the content security policy allows those and nothing inline. For a page whose
// library makes style elements; knows no terminal.

/** What such a library uses of a style element: its text, and being put in and taken out. */
function styleElement(): HTMLElement {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const element = document.createElement("meta");
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (css: string) => {
      text = css;
      sheet.replaceSync(css);
    },
  });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== sheet);
    remove();
  };
  return element;
}

/** From now on this page's `document.createElement("style")` makes no inline style. */
export function constructStyleSheets(): void {
  const create = document.createElement.bind(document);
  document.createElement = ((tag: string, options?: ElementCreationOptions) =>
    tag === "style" ? styleElement() : create(tag, options)) as typeof document.createElement;
}
