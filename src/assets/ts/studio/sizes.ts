// Shapes and sizes that suit a model. Pure.

import type { Model } from "../types";
import { size } from "../words";

export const SHAPES = { "1x1": 1, "4x3": 4 / 3, "3x4": 3 / 4, "16x9": 16 / 9, "9x16": 9 / 16 } as const;
export type Shape = keyof typeof SHAPES;

export interface Size {
  width: number;
  height: number;
  label: string;
}

/** Areas offered, as multiples of the native one's side. */
const SCALES = [0.5, 0.75, 1, 1.5, 2, 3];
/** What a network halves three times over 8-pixel latents. */
const GRID = 64;

const snap = (value: number, grid: number, [min, max]: [number, number]): number =>
  Math.min(Math.floor(max / grid) * grid, Math.max(Math.ceil(min / grid) * grid, Math.round(value / grid) * grid));

function sizeOf(model: Model, ratio: number, scale: number): Size {
  const [w, h] = model.native;
  if (ratio === w / h && scale === 1) return { width: w, height: h, label: `${size(w, h)}, native` };
  const grid = Math.min(w, h) < 512 ? GRID / 2 : GRID;
  const height = snap(Math.sqrt((w * h) / ratio) * scale, grid, model.side);
  const width = snap(Math.sqrt(w * h * ratio) * scale, grid, model.side);
  return { width, height, label: size(width, height) };
}

export function sizesFor(model: Model, shape: Shape): Size[] {
  const found = new Map<string, Size>();
  const [min, max] = model.side;
  for (const scale of SCALES) {
    const long = Math.max(...model.native) * scale;
    if (long < min || long > max * 1.2) continue;
    const one = sizeOf(model, SHAPES[shape], scale);
    const key = `${one.width}x${one.height}`;
    if (!found.has(key)) found.set(key, one);
  }
  return [...found.values()];
}

/** The size of that shape nearest to the native area. */
export const nativeSize = (model: Model, shape: Shape): Size => sizeOf(model, SHAPES[shape], 1);

export function shapeOf(width: number, height: number): Shape {
  const ratio = width / height;
  const distance = (shape: Shape): number => Math.abs(Math.log(SHAPES[shape] / ratio));
  return (Object.keys(SHAPES) as Shape[]).reduce((best, shape) => (distance(shape) < distance(best) ? shape : best));
}

/** A picture's own size where the model takes it, else the nearest of its ratio that it does. */
export function sizeLike(model: Model, width: number, height: number): { width: number; height: number } {
  const [min, max] = model.side;
  const fits = (n: number): boolean => n % 8 === 0 && n >= min && n <= max;
  const native = model.native[0] * model.native[1];
  if (fits(width) && fits(height) && width * height <= native * 4) return { width, height };
  const scale = Math.sqrt(native / (width * height));
  return { width: snap(width * scale, 8, model.side), height: snap(height * scale, 8, model.side) };
}
