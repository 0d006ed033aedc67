// The gate's own pages at a tool's address: follows what the gate says and loads the page anew when that changes, so
// that "starting" turns into the tool. A plain script of its own: nothing else of Easel is served at that address.

interface News {
  number: number;
  state: "closed" | "starting" | "open" | "broken";
  line: string | null;
}

(() => {
  const line = document.querySelector<HTMLElement>("[data-line]");
  const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

  /** Asks for each next state; an answer comes when there is one, or after a while. */
  async function follow(since: number): Promise<void> {
    let starting = line !== null && !line.hidden;
    for (;;) {
      try {
        const answer = await fetch(`/__easel/state?since=${since}`, { headers: { accept: "application/json" } });
        if (!answer.ok) return location.reload();
        const news = (await answer.json()) as News;
        if (news.number !== since && !(starting && news.state === "starting")) return location.reload();
        since = news.number;
        starting = news.state === "starting";
        if (line && news.line !== null) line.textContent = news.line;
        // A log that pours out lines is not followed line by line.
        await pause(300);
      } catch {
        await pause(2_000);
      }
    }
  }

  /** Counts the seconds down, then tries again. */
  async function countDown(left: HTMLElement): Promise<void> {
    for (let seconds = Number(left.textContent); seconds > 0; seconds--) {
      left.textContent = String(seconds);
      await pause(1_000);
    }
    location.reload();
  }

  const since = document.querySelector<HTMLElement>("script[data-since]")?.dataset.since;
  if (since !== undefined) void follow(Number(since));
  const left = document.querySelector<HTMLElement>("[data-retry]");
  if (left) void countDown(left);
})();
