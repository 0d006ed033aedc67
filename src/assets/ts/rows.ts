// Rows of a list or table that is drawn again and again. Knows no page and no row.

/** Replaces rows only where they changed, so that a menu that is open or a focus stays where it is. */
export class Rows<T> {
  private readonly known = new Map<string, { shown: string; row: HTMLElement }>();

  constructor(
    private readonly holder: HTMLElement,
    private readonly key: (item: T) => string,
    private readonly draw: (item: T) => HTMLElement,
  ) {}

  show(items: T[]): void {
    const keys = new Set(items.map(this.key));
    for (const [key, { row }] of this.known) {
      if (keys.has(key)) continue;
      row.remove();
      this.known.delete(key);
    }
    items.forEach((item, i) => {
      const key = this.key(item);
      const shown = JSON.stringify(item);
      const before = this.known.get(key);
      let row = before?.row;
      if (!row || before?.shown !== shown) {
        const fresh = this.draw(item);
        row?.replaceWith(fresh);
        row = fresh;
        this.known.set(key, { shown, row });
      }
      if (this.holder.children[i] !== row) this.holder.insertBefore(row, this.holder.children[i] ?? null);
    });
  }
}
