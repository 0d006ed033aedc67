// The mask painter: a canvas over the reference picture. The mask shows as black and white hatch with a double
// outline, visible on any picture and without a hue. Loaded when it is opened.

import { byId } from "../dom";
import { Slider } from "./fields";
import { Pinch } from "./pinch";

interface Point {
  x: number;
  y: number;
}
interface Stroke {
  erase: boolean;
  /** Diameter, in pixels of the picture. */
  size: number;
  points: Point[];
}
type Step = Stroke | "clear";

/** The mask's longest side; a reference may be larger, its mask need not be. */
const LONGEST = 1024;
const OUTLINE = 1.6;
/** One for all painters, because its fields are of the page and stay. */
const brush = new Slider("brush", [1, 1], () => {});

function canvasOf(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws no canvas");
  return [canvas, context];
}

/** Diagonal stripes, light on dark, both half transparent. */
function hatch(context: CanvasRenderingContext2D, scale: number): CanvasPattern | string {
  const side = Math.round(14 * scale);
  const [tile, draw] = canvasOf(side, side);
  draw.fillStyle = "rgb(0 0 0 / 0.42)";
  draw.fillRect(0, 0, side, side);
  draw.fillStyle = "rgb(255 255 255 / 0.62)";
  draw.beginPath();
  for (const shift of [-side, 0, side]) {
    draw.moveTo(shift, side);
    draw.lineTo(shift + side / 2, side);
    draw.lineTo(shift + side * 1.5, 0);
    draw.lineTo(shift + side, 0);
  }
  draw.fill();
  return context.createPattern(tile, "repeat") ?? "rgb(128 128 128 / 0.6)";
}

export class Painter {
  private readonly mask: HTMLCanvasElement;
  private readonly ink: CanvasRenderingContext2D;
  private readonly canvas = document.createElement("canvas");
  private readonly view: CanvasRenderingContext2D;
  private readonly pinch: Pinch;
  private steps: Step[] = [];
  private undone: Step[] = [];
  private stroke: Stroke | null = null;
  private erase = false;
  private cursor: Point | null = null;
  private events: AbortController | null = null;
  private frame = 0;
  private share = 0;

  constructor(
    reference: { width: number; height: number },
    private readonly changed: () => void,
  ) {
    const scale = Math.min(1, LONGEST / Math.max(reference.width, reference.height));
    [this.mask, this.ink] = canvasOf(Math.round(reference.width * scale), Math.round(reference.height * scale));
    this.ink.lineCap = this.ink.lineJoin = "round";
    const view = this.canvas.getContext("2d");
    if (!view) throw new Error("this browser draws no canvas");
    this.view = view;
    this.canvas.id = "mask-canvas";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.ariaLabel = "Mask: arrow keys move the brush, Space paints";
    const longest = Math.max(this.mask.width, this.mask.height);
    brush.use([1, longest], Math.round(longest / 3), Math.round(longest / 9), () => this.draw());
    this.pinch = new Pinch(byId("frame"));
  }

  get isOpen(): boolean {
    return this.events !== null;
  }

  /** Share of the picture that is painted, 0 to 1. */
  get coverage(): number {
    return this.share;
  }

  open(done: () => void): void {
    if (this.events) return;
    const events = (this.events = new AbortController());
    byId("frame").append(this.canvas);
    const on = (id: string, run: () => void): void => byId(id).addEventListener("click", run, { signal: events.signal });
    on("mask-brush", () => this.choose(false));
    on("mask-eraser", () => this.choose(true));
    on("mask-undo", () => this.undo());
    on("mask-redo", () => this.redo());
    on("mask-clear", () => this.push("clear"));
    on("mask-done", done);
    this.listen(events.signal);
    const resized = new ResizeObserver(() => this.resize());
    resized.observe(this.canvas);
    events.signal.addEventListener("abort", () => resized.disconnect());
    this.resize();
    this.show();
    this.canvas.focus({ preventScroll: true });
  }

  close(): void {
    this.events?.abort();
    this.events = null;
    this.pinch.reset();
    this.canvas.remove();
  }

  /** The mask as a grey PNG: white is painted again. */
  async file(inverted: boolean): Promise<Blob> {
    const { width, height } = this.mask;
    const [out, draw] = canvasOf(width, height);
    draw.fillStyle = "#000";
    draw.fillRect(0, 0, width, height);
    draw.drawImage(this.mask, 0, 0);
    if (inverted) {
      draw.globalCompositeOperation = "difference";
      draw.fillStyle = "#fff";
      draw.fillRect(0, 0, width, height);
    }
    return new Promise((done, fail) =>
      out.toBlob((b) => (b ? done(b) : fail(new Error("the mask could not be written"))), "image/png"),
    );
  }

  choose(erase: boolean): void {
    this.erase = erase;
    this.show();
  }

  swap(): void {
    this.choose(!this.erase);
  }

  /** A larger or a smaller brush, by an eighth. */
  grow(by: 1 | -1): void {
    const longest = Math.max(this.mask.width, this.mask.height);
    brush.value = Math.min(longest, Math.max(1, brush.value + by * Math.ceil(brush.value / 8)));
    this.draw();
  }

  undo(): void {
    const step = this.steps.pop();
    if (step) this.undone.push(step);
    this.repaint();
  }

  redo(): void {
    const step = this.undone.pop();
    if (step) this.steps.push(step);
    this.repaint();
  }

  private push(step: Step): void {
    if (step === "clear" && this.share === 0) return;
    this.steps.push(step);
    this.undone = [];
    this.repaint();
  }

  private listen(signal: AbortSignal): void {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (e) => this.down(e), { signal });
    canvas.addEventListener("pointermove", (e) => this.move(e), { signal });
    for (const type of ["pointerup", "pointercancel"] as const) canvas.addEventListener(type, (e) => this.up(e), { signal });
    canvas.addEventListener("pointerleave", () => this.point(null), { signal });
    canvas.addEventListener("contextmenu", (e) => e.preventDefault(), { signal });
  }

  private at(e: PointerEvent): Point {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((e.clientX - box.left) / box.width) * this.mask.width,
      y: ((e.clientY - box.top) / box.height) * this.mask.height,
    };
  }

  private down(e: PointerEvent): void {
    this.canvas.setPointerCapture(e.pointerId);
    if (this.pinch.down(e)) {
      this.stroke = null;
      this.repaint();
      return;
    }
    if (e.button > 0 && e.button !== 2) return;
    this.stroke = { erase: this.erase || e.button === 2, size: brush.value, points: [this.at(e)] };
    this.paintStroke(this.stroke, 0);
    this.point(this.at(e));
  }

  private move(e: PointerEvent): void {
    if (this.pinch.move(e)) return;
    if (this.stroke) {
      const from = this.stroke.points.length - 1;
      const all = e.getCoalescedEvents?.() ?? [];
      for (const one of all.length > 0 ? all : [e]) this.stroke.points.push(this.at(one));
      this.paintStroke(this.stroke, Math.max(0, from));
    }
    this.point(this.at(e));
  }

  private up(e: PointerEvent): void {
    this.pinch.up(e);
    const { stroke } = this;
    this.stroke = null;
    if (stroke) this.push(stroke);
  }

  /** Whether keys that mean something to every control are meant for the canvas. */
  get hasFocus(): boolean {
    return document.activeElement === this.canvas;
  }

  /** Moves the brush by a quarter of its size, or by all of it. */
  steer(key: string, far: boolean): void {
    const step = far ? brush.value : Math.max(1, brush.value / 4);
    const by = { x: key === "ArrowLeft" ? -step : key === "ArrowRight" ? step : 0, y: key === "ArrowUp" ? -step : key === "ArrowDown" ? step : 0 };
    const at = this.middle();
    this.point({
      x: Math.min(this.mask.width, Math.max(0, at.x + by.x)),
      y: Math.min(this.mask.height, Math.max(0, at.y + by.y)),
    });
  }

  /** Paints where the brush is. */
  dab(): void {
    this.push({ erase: this.erase, size: brush.value, points: [this.middle()] });
  }

  /** Where the brush is; before it was seen anywhere, in the middle. */
  private middle(): Point {
    return this.cursor ?? { x: this.mask.width / 2, y: this.mask.height / 2 };
  }

  private paintStroke(stroke: Stroke, from: number): void {
    const { ink } = this;
    const [first, ...rest] = stroke.points.slice(from);
    if (!first) return;
    ink.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    ink.strokeStyle = "#fff";
    ink.lineWidth = stroke.size;
    ink.beginPath();
    ink.moveTo(first.x, first.y);
    for (const p of rest.length > 0 ? rest : [{ x: first.x + 0.01, y: first.y }]) ink.lineTo(p.x, p.y);
    ink.stroke();
  }

  private repaint(): void {
    this.ink.clearRect(0, 0, this.mask.width, this.mask.height);
    for (const step of this.steps) {
      if (step === "clear") this.ink.clearRect(0, 0, this.mask.width, this.mask.height);
      else this.paintStroke(step, 0);
    }
    this.share = this.measure();
    this.show();
    this.changed();
  }

  /** Counted on a small copy: the figure is shown in whole per cent. */
  private measure(): number {
    const side = 64;
    const [, small] = canvasOf(side, side);
    small.drawImage(this.mask, 0, 0, side, side);
    const { data } = small.getImageData(0, 0, side, side);
    let painted = 0;
    for (let i = 3; i < data.length; i += 4) painted += data[i] ?? 0;
    return painted / (side * side * 255);
  }

  private show(): void {
    byId("mask-brush").ariaPressed = String(!this.erase);
    byId("mask-eraser").ariaPressed = String(this.erase);
    byId<HTMLButtonElement>("mask-undo").disabled = this.steps.length === 0;
    byId<HTMLButtonElement>("mask-redo").disabled = this.undone.length === 0;
    this.draw();
  }

  private point(at: Point | null): void {
    this.cursor = at;
    this.draw();
  }

  private resize(): void {
    const ratio = devicePixelRatio;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.draw();
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  private drawNow(): void {
    const { view, canvas } = this;
    const { width, height } = canvas;
    const ratio = devicePixelRatio;
    view.clearRect(0, 0, width, height);
    this.outline("#000", OUTLINE * 2 * ratio);
    this.outline("#fff", OUTLINE * ratio);
    view.globalCompositeOperation = "destination-out";
    view.drawImage(this.mask, 0, 0, width, height);
    const [sheet, draw] = canvasOf(width, height);
    draw.fillStyle = hatch(draw, ratio);
    draw.fillRect(0, 0, width, height);
    draw.globalCompositeOperation = "destination-in";
    draw.drawImage(this.mask, 0, 0, width, height);
    view.globalCompositeOperation = "source-over";
    view.drawImage(sheet, 0, 0);
    if (this.cursor) this.drawCursor(this.cursor, ratio);
  }

  /** The mask in one colour, grown by `grow` pixels. */
  private outline(colour: string, grow: number): void {
    const { width, height } = this.canvas;
    const [sheet, draw] = canvasOf(width, height);
    for (let i = 0; i < 16; i += 1) {
      const angle = (i / 16) * 2 * Math.PI;
      draw.drawImage(this.mask, Math.cos(angle) * grow, Math.sin(angle) * grow, width, height);
    }
    draw.globalCompositeOperation = "source-in";
    draw.fillStyle = colour;
    draw.fillRect(0, 0, width, height);
    this.view.drawImage(sheet, 0, 0);
  }

  private drawCursor(at: Point, ratio: number): void {
    const scale = this.canvas.width / this.mask.width;
    for (const [colour, width] of [
      ["#000", OUTLINE * 2],
      ["#fff", OUTLINE],
    ] as const) {
      this.view.strokeStyle = colour;
      this.view.lineWidth = width * ratio;
      this.view.beginPath();
      this.view.arc(at.x * scale, at.y * scale, (brush.value / 2) * scale, 0, 2 * Math.PI);
      this.view.stroke();
    }
  }
}
