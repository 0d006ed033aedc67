// Talking to the API: JSON in, JSON out, problems as errors that a person can read. Knows no page.

/** What the server says about a refusal, as application/problem+json. */
interface Problem {
  title?: string;
  detail?: string;
  errors?: FieldProblem[];
}
export interface FieldProblem {
  field: string;
  message: string;
}

/** A refusal or a lost connection, in words for a person. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    readonly fields: FieldProblem[] = [],
    /** The whole answer, for what it says beyond its words. */
    readonly answer: object = {},
  ) {
    super(message);
  }

  get unreachable(): boolean {
    return this.status === 0;
  }

  /** Easel itself said nothing: the connection is gone, or what stands before it answered in its place. The same may succeed in
   * a moment, and what was asked may have been done. */
  get unanswered(): boolean {
    return this.status === 0 || (this.status >= 502 && this.status <= 504 && !("detail" in this.answer));
  }
}

const BASE = "/api/v1";
/** The login is gone: every page starts again at the door. */
function toTheDoor(): void {
  location.assign("/");
}

async function problemOf(answer: Response): Promise<ApiError> {
  let problem: Problem = {};
  if (answer.headers.get("content-type")?.includes("json")) problem = (await answer.json().catch(() => ({}))) as Problem;
  const text = problem.detail ?? problem.title ?? `Easel answered ${answer.status}.`;
  return new ApiError(text, answer.status, problem.errors ?? [], problem);
}

export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(BASE + path, { credentials: "same-origin", ...options });
  } catch (e) {
    if (options.signal?.aborted) throw e;
    throw new ApiError("Easel does not answer. Nothing is lost; try again in a moment.", 0);
  }
  if (answer.status === 401) toTheDoor();
  // Whatever an admin page asks needs admin mode: where it has ended, the password is asked for again.
  if (answer.status === 403 && document.querySelector("[data-admin-page]")) location.assign("/admin");
  if (answer.ok && options.method && options.method !== "HEAD") dispatchEvent(new Event("easel:used"));
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, signal ? { signal } : {})).json()) as T;
}

export async function send<T>(method: string, path: string, body?: unknown, options: RequestInit = {}): Promise<T> {
  const headers = new Headers(options.headers);
  if (body !== undefined) headers.set("content-type", "application/json");
  const answer = await request(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...options,
    headers,
  });
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Waits before something is asked again; ends as a request does when it is called off. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const off = (): void => {
      clearTimeout(timer);
      fail(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", off);
      done();
    }, ms);
    if (signal?.aborted) off();
    signal?.addEventListener("abort", off, { once: true });
  });
}

/** The words of any error, for a toast or a line below a field. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError && error.fields.length > 0) return error.fields.map((f) => f.message).join(" ");
  return error instanceof Error ? error.message : String(error);
}
