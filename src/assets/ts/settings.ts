// What a profile's browser remembers: drafts, last prompts, row height, wall colour. Knows no meaning of it.

const profile = document.body.dataset.profile ?? "nobody";
const key = (name: string): string => `easel.${profile}.${name}`;

/** A remembered value, or `fallback` where there is none or the browser keeps nothing (private windows, full storage). */
export function recall<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(key(name));
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

export function forget(name: string): void {
  try {
    localStorage.removeItem(key(name));
  } catch {
    // Where nothing is kept, nothing is there.
  }
}

export function remember(name: string, value: unknown): void {
  try {
    localStorage.setItem(key(name), JSON.stringify(value));
  } catch {
    // A full or forbidden storage costs the memory of a setting, never the work.
  }
}
