// Lines over time, drawn by uPlot. Its colours are the page's, read anew when the theme changes. Knows no machine.

import uPlot from "uplot";
import { make } from "../dom";

export interface Point {
  at: number;
  cpu: number;
  memory: number;
  gpu: number | null;
  gpu_memory: number | null;
}
export interface Series {
  label: string;
  of: (point: Point) => number | null;
  accent: boolean;
  dash: boolean;
}

const HEIGHT = 232;
const MINUTE_S = 60;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** What a custom property comes to: a canvas does not know variables. */
function colour(name: string): string {
  const probe = make("i", { hidden: true });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export class Chart {
  private plot: uPlot | null = null;
  private last: [Point[], Series[], number] | null = null;

  constructor(
    private readonly holder: HTMLElement,
    private readonly legend: HTMLElement,
  ) {
    new ResizeObserver(() => this.plot?.setSize({ width: holder.clientWidth, height: HEIGHT })).observe(holder);
    const redraw = (): void => {
      if (this.last) this.draw(...this.last);
    };
    new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", redraw);
  }

  /** The last `span` minutes of these points. */
  show(points: Point[], series: Series[], span: number): void {
    const same = this.last && this.last[2] === span && this.last[1].map((s) => s.label).join() === series.map((s) => s.label).join();
    this.last = [points, series, span];
    if (same && this.plot) {
      this.plot.setData(data(points, series, span));
      this.plot.setScale("x", range(span));
    } else this.draw(points, series, span);
    this.holder.setAttribute("aria-label", `${span > 60 ? "Last 24 hours" : "Last hour"}: ${inWords(points, series)}`);
  }

  private draw(points: Point[], series: Series[], span: number): void {
    this.plot?.destroy();
    const [accent, ink, quiet, line, area] = ["accent", "ink-2", "ink-3", "line", "area"].map(colour) as [string, string, string, string, string];
    const axis = { stroke: quiet, font: "12px 'Instrument Sans', system-ui, sans-serif", ticks: { show: false } };
    const options: uPlot.Options = {
      width: this.holder.clientWidth,
      height: HEIGHT,
      padding: [8, 0, 0, 0],
      cursor: { y: false, points: { size: 7 } },
      legend: { show: false },
      scales: { x: { time: true }, y: { range: [0, 100] } },
      axes: [
        { ...axis, size: 28, grid: { show: false }, values: (_, splits) => splits.map((s) => clock.format(new Date(s * 1000))), space: 80 },
        { ...axis, side: 1, size: 52, grid: { stroke: line, width: 1 }, values: (_, splits) => splits.map((s) => (s === 100 ? "100 %" : String(s))), splits: [0, 25, 50, 75, 100] },
      ],
      series: [
        {},
        ...series.map((s) => ({
          label: s.label,
          stroke: s.accent ? accent : ink,
          width: 1.5,
          spanGaps: false,
          points: { show: false },
          ...(s.accent ? { fill: area } : {}),
          ...(s.dash ? { dash: [5, 4] } : {}),
        })),
      ],
    };
    this.plot = new uPlot(options, data(points, series, span), this.holder);
    this.plot.setScale("x", range(span));
    this.legend.replaceChildren(
      ...series.map((s) => make("li", {}, make("i", { class: `stroke${s.accent ? " stroke--a" : ""}${s.dash ? " stroke--dash" : ""}` }), s.label)),
    );
  }
}

function range(span: number): { min: number; max: number } {
  const now = Date.now() / 1000;
  return { min: now - span * MINUTE_S, max: now };
}

/** Columns as uPlot takes them; a gap of more than two minutes is no line. */
function data(points: Point[], series: Series[], span: number): uPlot.AlignedData {
  const from = (range(span).min - MINUTE_S) * 1000;
  const shown: (Point | { at: number; gap: true })[] = [];
  let before = 0;
  for (const point of points.filter((p) => p.at >= from)) {
    if (before && point.at - before > 2 * MINUTE_S * 1000) shown.push({ at: before + MINUTE_S * 1000, gap: true });
    shown.push(point);
    before = point.at;
  }
  const column = (of: Series["of"]): (number | null)[] => shown.map((p) => ("gap" in p ? null : of(p)));
  return [shown.map((p) => p.at / 1000), ...series.map((s) => column(s.of))] as uPlot.AlignedData;
}

/** What the lines say, in words. */
function inWords(points: Point[], series: Series[]): string {
  const part = (s: Series): string | null => {
    const values = points.map(s.of).filter((v) => v !== null);
    if (values.length === 0) return null;
    const [low, high, now] = [Math.min(...values), Math.max(...values), values.at(-1) ?? 0].map(Math.round);
    return `${s.label} between ${low} and ${high} percent, now ${now}`;
  };
  return series.map(part).filter((p) => p !== null).join("; ");
}

export async function open(holder: HTMLElement, legend: HTMLElement): Promise<Chart> {
  // A face that is still on its way would be drawn as another.
  await document.fonts.ready;
  return new Chart(holder, legend);
}
