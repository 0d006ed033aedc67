// Two fingers zoom and move an element; one finger is left to whoever paints.

interface Finger {
  x: number;
  y: number;
}

const LARGEST = 6;

export class Pinch {
  private readonly fingers = new Map<number, Finger>();
  private scale = 1;
  private shift: Finger = { x: 0, y: 0 };

  constructor(private readonly element: HTMLElement) {}

  /** True when this touch makes it two fingers. */
  down(e: PointerEvent): boolean {
    if (e.pointerType !== "touch") return false;
    this.fingers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    return this.fingers.size > 1;
  }

  /** True while two fingers move. */
  move(e: PointerEvent): boolean {
    const before = [...this.fingers.values()];
    if (!this.fingers.has(e.pointerId)) return false;
    this.fingers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    const [a, b] = before;
    const [c, d] = [...this.fingers.values()];
    if (!a || !b || !c || !d) return false;
    const span = (p: Finger, q: Finger): number => Math.hypot(p.x - q.x, p.y - q.y) || 1;
    this.scale = Math.min(LARGEST, Math.max(1, (this.scale * span(c, d)) / span(a, b)));
    this.shift.x += (c.x + d.x - a.x - b.x) / 2;
    this.shift.y += (c.y + d.y - a.y - b.y) / 2;
    if (this.scale === 1) this.shift = { x: 0, y: 0 };
    this.apply();
    return true;
  }

  up(e: PointerEvent): void {
    this.fingers.delete(e.pointerId);
  }

  reset(): void {
    this.fingers.clear();
    this.scale = 1;
    this.shift = { x: 0, y: 0 };
    this.apply();
  }

  private apply(): void {
    this.element.style.transform = this.scale === 1 ? "" : `translate(${this.shift.x}px, ${this.shift.y}px) scale(${this.scale})`;
  }
}
