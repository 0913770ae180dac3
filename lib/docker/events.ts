/**
 * What an engine tells of what happens.
 * @module
 */
import { readEvents } from "./answers.ts";
import type { Calls } from "./calls.ts";
import { filters } from "./query.ts";
import type { EngineEvent } from "./types.ts";

/**
 * What happens from `since` on, a time by the engine's clock in seconds since 1970: comes back once the engine is listening. An event may come twice.
 * Ends when the engine ends it; throws the signal's reason, and only the signal interrupts a wait for
 * the next event.
 */
export async function openEvents(
  calls: Calls,
  wanted: { labels: Record<string, string>; types?: readonly string[]; since: string },
  signal: AbortSignal,
): Promise<AsyncGenerator<EngineEvent>> {
  const what = "tell events";
  const { body } = await calls.open(what, {
    method: "GET",
    path: ["events"],
    query: {
      filters: filters(wanted),
      // The engine sends its head before it subscribes; so it is asked for what came between, too.
      since: wanted.since,
    },
    bodyMs: Infinity,
    signal,
  });
  const events = readEvents(body, what);
  // Up to its first yield: return() of a generator that has not begun would not close anything.
  await events.next();
  return events as AsyncGenerator<EngineEvent>;
}
