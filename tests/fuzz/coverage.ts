/**
 * Which code has run, as V8 tells it in this process (node:inspector, Profiler.takePreciseCoverage;
 * seen to work in Deno 2.9.3).
 * @module
 */
import { Session } from "node:inspector";

/** Of a script: V8's functions, outer ones first, each with its block ranges, outer ones first. */
interface ScriptCoverage {
  url: string;
  functions: { ranges: { startOffset: number; endOffset: number; count: number }[] }[];
}

/** What has run since the report before. */
export type Report = readonly ScriptCoverage[];

let session: Session | undefined;

/**
 * Starts V8's counters, once for the process. V8 tells blocks apart only in functions that have not
 * run before, and forgets them when it stops: so this comes before everything that is fuzzed is
 * imported, and nothing ends it.
 */
export async function startCounting(): Promise<void> {
  if (session) return;
  session = new Session();
  session.connect();
  await post(session, "Profiler.enable");
  await post(session, "Profiler.startPreciseCoverage", { callCount: true, detailed: true });
}

/** What has run since it was last asked, of scripts that count. */
export async function takeReport(counts: (url: string) => boolean): Promise<Report> {
  if (!session) throw new Error("startCounting has not been called");
  const { result } = await post(session, "Profiler.takePreciseCoverage");
  return (result ?? []).filter(({ url }) => counts(url));
}

function post(
  to: Session,
  method: string,
  parameters: object = {},
): Promise<{ result?: ScriptCoverage[] }> {
  return new Promise((resolve, reject) => {
    to.post(method, parameters, (error: Error | null, answer?: object) => {
      if (error) reject(error);
      else resolve(answer ?? {});
    });
  });
}

/** The project's own code. */
export function isProduct(url: string): boolean {
  return url.startsWith("file:") && /\/lib\/(?!std\/)[^?]*\.ts$/.test(url);
}

/** The characters of scripts that a report shows to have run. */
function covered(script: ScriptCoverage): Uint8Array {
  const ranges = script.functions.flatMap((each) => each.ranges);
  const shown = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
  for (const { startOffset, endOffset, count } of ranges) {
    shown.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return shown;
}

/** What has run so far. */
export class CoverageMap {
  /** A script's characters; and where its blocks begin, as far as V8 has told. */
  readonly #scripts = new Map<string, { seen: Uint8Array; starts: Set<number> }>();

  /** Takes a report in; answers what is new in it, none of it if undefined. */
  add(report: Report): Gain | undefined {
    const gain = this.gain(report);
    for (const script of report) {
      const { seen, starts } = this.#script(script);
      for (const { ranges } of script.functions) {
        for (const { startOffset } of ranges) starts.add(startOffset);
      }
      covered(script).forEach((hit, i) => {
        if (hit) seen[i] = 1;
      });
    }
    return gain;
  }

  /** What a report has that is not here yet. */
  gain(report: Report): Gain | undefined {
    const gain: Gain = [];
    for (const script of report) {
      const seen = this.#scripts.get(script.url)?.seen;
      const hits = covered(script);
      let before = false;
      for (let i = 0; i < hits.length; i++) {
        const fresh = hits[i] === 1 && seen?.[i] !== 1;
        // The first character of each new stretch stands for it.
        if (fresh && !before) gain.push({ url: script.url, at: i });
        before = fresh;
      }
    }
    return gain.length > 0 ? gain : undefined;
  }

  /** Blocks that have run. */
  get blocks(): number {
    let sum = 0;
    for (const { seen, starts } of this.#scripts.values()) {
      for (const at of starts) sum += seen[at] ?? 0;
    }
    return sum;
  }

  #script({ url, functions }: ScriptCoverage): { seen: Uint8Array; starts: Set<number> } {
    const size = Math.max(0, ...functions.flatMap(({ ranges }) => ranges[0]?.endOffset ?? 0));
    const known = this.#scripts.get(url) ?? { seen: new Uint8Array(), starts: new Set<number>() };
    if (known.seen.length < size) {
      const seen = new Uint8Array(size);
      seen.set(known.seen);
      known.seen = seen;
    }
    this.#scripts.set(url, known);
    return known;
  }
}

/** Places in scripts. */
export type Gain = { url: string; at: number }[];

/** Whether a report has all of these places. */
export function holds(report: Report, gain: Gain): boolean {
  const hits = new Map(report.map((script) => [script.url, covered(script)]));
  return gain.every(({ url, at }) => hits.get(url)?.[at] === 1);
}
