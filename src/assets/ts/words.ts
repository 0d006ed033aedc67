// Numbers, times and sizes in the product's words. Pure: knows no document.

const whole = new Intl.NumberFormat("en");

export const count = (n: number): string => whole.format(n);

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** 1.9 s, 40 s, 6 min, 3 h 20 min. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0.1, seconds).toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** A running time: 0:07, 12:41, 3:20:07, 2 days 3:20. */
export function running(seconds: number): string {
  const two = (n: number): string => String(Math.floor(n)).padStart(2, "0");
  // A page's time and the server's are read one after the other.
  const all = Math.max(0, seconds);
  const days = Math.floor(all / 86_400);
  const [h, m, s] = [Math.floor((all % 86_400) / 3600), Math.floor((all % 3600) / 60), all % 60];
  if (days > 0) return `${plural(days, "day")} ${h}:${two(m)}`;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** An estimate: coarser, because it is one. */
export function about(seconds: number): string {
  return seconds < 1 ? "under 1 s" : `about ${seconds < 9.5 ? `${Math.round(seconds)} s` : duration(seconds)}`;
}

/** 31 kB, 4.3 GB: decimal, as disks are sold. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit > 1 && value < 99.5 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export const size = (width: number, height: number): string => `${width} × ${height}`;

export const ordinal = (n: number): string => {
  const last = n % 100 >= 11 && n % 100 <= 13 ? 0 : n % 10;
  return `${n}${["th", "st", "nd", "rd"][last] ?? "th"}`;
};

const hourOfDay = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long" });
const fullDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const monthName = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric" });

const startOfDay = (time: Date): number => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();

/** Today, Yesterday, 18 November, 18 November 2025. */
export function day(time: Date, now = new Date()): string {
  const days = Math.round((startOfDay(now) - startOfDay(time)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return (time.getFullYear() === now.getFullYear() ? dayOfYear : fullDay).format(time);
}

/** today 14:01, 18 November 14:01. */
export function moment(time: Date, now = new Date()): string {
  const word = day(time, now);
  return `${word === "Today" || word === "Yesterday" ? word.toLowerCase() : word} ${hourOfDay.format(time)}`;
}

export const hour = (time: Date): string => hourOfDay.format(time);
export const month = (time: Date): string => monthName.format(time);

/** A sentence begins with a capital letter. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
