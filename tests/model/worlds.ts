/**
 * Which worlds can be after calls that are made at once: every order of their effects.
 * @module
 */
import { bySession, type Call, type Effect, type Limits, remove, type World } from "../model.ts";
import { effectsOf, EXPIRED, LOST, UNKNOWN } from "./effects.ts";

/** Nothing in it is about to change by itself. */
export function quiet({ sessions }: World): boolean {
  return sessions.every(({ state, leaving }) =>
    !leaving && ["waiting", "ready", "streaming"].includes(state)
  );
}

/** Every world that these calls, made at once, may lead to. */
export function after(
  worlds: World[],
  calls: { ticket: number; call: Call }[],
  limits: Limits,
): World[] {
  const effects = calls.map(({ ticket, call }) =>
    effectsOf(call, ticket, limits).map((effect) => (world: World) => {
      if (world.down) world.answers[ticket] ??= { labels: [LOST] };
      else effect(world);
    })
  );
  const ends = distinct(worlds.flatMap((world) => interleaved(world, effects, limits)));
  for (const world of ends) Object.assign(world, { down: false, found: {} });
  return distinct(ends);
}

/** The worlds that these can become without any call. */
export function byThemselves(worlds: World[], limits: Limits): World[] {
  const all = [...worlds];
  for (const world of all) {
    for (const { ticket, leaving, state } of world.sessions) {
      if (leaving && state === "failed") all.push(changed(world, (w) => remove(w, ticket, [])));
      else if (leaving) all.push(changed(world, (w) => end(w, ticket, [])));
      const waits = state === "waiting" || state === "ready";
      if (limits.timed && waits) all.push(changed(world, (w) => end(w, ticket, [EXPIRED])));
    }
    for (const { ticket, leaving } of world.early) {
      if (!leaving && !limits.timed) continue;
      all.push(changed(world, (w) => {
        w.early = w.early.filter((each) => each.ticket !== ticket);
        w.answers[ticket] ??= { labels: [UNKNOWN] };
      }));
    }
  }
  return distinct(all);
}

/** The session is over, and about to be gone. */
function end(world: World, ticket: number, req: string[]): void {
  const session = bySession(world, ticket);
  if (session) Object.assign(session, { state: "failed", leaving: true });
  world.answers[ticket] ??= { labels: req };
}

function interleaved(world: World, effects: Effect[][], limits: Limits): World[] {
  return byThemselves([world], limits).flatMap((each) => {
    const next = effects.flatMap(([effect, ...rest], i) =>
      effect ? interleaved(changed(each, effect), effects.with(i, rest), limits) : []
    );
    return next.length > 0 ? next : [each];
  });
}

function changed(world: World, effect: Effect): World {
  const copy = copyOf(world);
  effect(copy);
  return copy;
}

/** As structuredClone would, in a tenth of its time: there are many worlds. */
function copyOf({ sessions, early, answers, found, down }: World): World {
  return {
    sessions: sessions.map((each) => ({
      ...each,
      targets: [...each.targets],
      releases: [...each.releases],
    })),
    early: early.map((each) => ({ ...each })),
    answers: Object.fromEntries(
      Object.entries(answers).map(([ticket, { labels, listenersOf, addresses }]) => [
        ticket,
        { labels: [...labels], listenersOf, addresses: addresses && [...addresses] },
      ]),
    ),
    found: { ...found },
    down,
  };
}

function distinct(worlds: World[]): World[] {
  return [...new Map(worlds.map((world) => [JSON.stringify(world), world])).values()];
}
