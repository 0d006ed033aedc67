// Small help with the document: finding, making, showing. Knows no page.

/** The element with this id. Pages and scripts are built together, so its absence is a mistake, not a state. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

export function all<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T[] {
  return [...within.querySelectorAll<T>(selector)];
}

type Child = Node | string | null | undefined;
type Attributes = Record<string, string | number | boolean | null | undefined>;

/** An element with attributes and children; `true` sets an empty attribute, `false` and absent ones leave it out. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

export function setAttribute(element: Element, name: string, value: string | number | boolean | null | undefined): void {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** A Lucide icon as an element; the text comes from `easel:icons`, never from outside. */
export function icon(svg: string): SVGElement {
  const parsed = new DOMParser().parseFromString(svg, "text/html").body.firstElementChild;
  return document.importNode(parsed as SVGElement, true);
}

/** Custom properties through CSSOM, which the content security policy allows. */
export function setVar(element: HTMLElement, name: string, value: string | number): void {
  element.style.setProperty(name, String(value));
}

/** Writes only what changed, so that screen readers are not told the same again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The latest call wins, `wait` ms after it. */
export function debounce<A extends unknown[]>(wait: number, run: (...args: A) => void): (...args: A) => void {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), wait);
  };
}

/** Data that the server wrote into the page as JSON. */
export function embedded<T>(id: string): T {
  return JSON.parse(byId(id).textContent ?? "null") as T;
}
