/**
 * Random sequences of calls, deaths and restarts against real control servers, beside a model of
 * what a gateway should be. One that goes wrong is shortened and printed, with the variables that
 * bring it back. SCISTREAM_SEQUENCES sets how many are run, SCISTREAM_PART and SCISTREAM_SEED which.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { NamedServer } from "./echo.ts";
import type { Call, Limits } from "./model.ts";
import type { App } from "./model/calls.ts";
import type { Plan } from "./model/control.ts";
import { Driver } from "./model/driver.ts";
import { type Events, steps } from "./model/steps.ts";
import { Tally } from "./model/tally.ts";

const USUAL = 2000;
const SEQUENCES = Number(Deno.env.get("SCISTREAM_SEQUENCES") ?? USUAL);
const SEED = Number(Deno.env.get("SCISTREAM_SEED") ?? Date.now() % 2 ** 31);
const PART = Deno.env.get("SCISTREAM_PART");
const MOST_STEPS = 12;

/** Small, so that there often is no room. */
const LIMITS: Limits = {
  ports: 6,
  maxConn: 3,
  maxSessions: 3,
  capacity: 1000,
  timed: false,
  keep: false,
};
/** Where nothing is forwarded, applications need not be there. */
const APPS = [9001, 9002, 9003, 9004].map((port) => ({ address: `127.0.0.1:${port}` }));
const MOCK: Plan = { flags: ["--type=Mock"], limits: LIMITS, apps: APPS, tcp: false, tls: false };

/** Some of the sequences, with a gateway of their own. */
interface Part {
  /** Of all sequences. */
  share: number;
  plan: Plan;
  events: Events;
  /** Sequences that come first, for what chance might leave out. */
  always?: Call[][][];
}

function parts(apps: App[]): Record<string, Part> {
  const req: Call = { kind: "req", slot: "a", role: "PROD", num: 1, rate: 0 };
  const hello: Call = { kind: "hello", slot: "a", role: "PROD", apps: [0] };
  const update: Call = { kind: "update", slot: "a", targets: [0], rate: 0 };
  const release: Call = { kind: "release", slot: "a", force: false };
  const status: Call = { kind: "status", slot: "a" };
  const stop: Call = { kind: "stop", slot: "a" };
  const kill: Call = { kind: "kill", slot: "a" };
  // Each call in each state, of which chance alone leaves out some.
  const before = { none: [], early: [[hello]], waiting: [[req]], ready: [[req, hello]] };
  const states = [...Object.values(before), [...before.ready, [update]]];
  const eachInEach = states.flatMap((steps) =>
    [req, hello, update, release, status].map((call) => [...steps, [call]])
  );
  const slots = ["a", "b", "c", "d"] as const;
  const oneTooMany = slots.map((slot) => [{ ...req, slot }]);
  const badUid: Call[][] = [[{ ...req, flaw: "uid" }]];
  const timed = { ...LIMITS, timed: true };
  const flags = ["--type=S2DS", "--wan=plain", "--workers=1", "--rate-policy=enforce"];
  return {
    calls: {
      share: 0.442,
      plan: MOCK,
      events: {},
      always: [...eachInEach, oneTooMany, badUid],
    },
    callsAndKills: { share: 0.442, plan: MOCK, events: { kill: 1 } },
    expiry: {
      share: 0.05,
      plan: { ...MOCK, flags: ["--type=Mock", "--hello-timeout=0.2"], limits: timed },
      events: { expire: 200 },
    },
    restarts: {
      share: 0.012,
      plan: { ...MOCK, limits: { ...LIMITS, keep: true } },
      events: { kill: 100, stop: 60 },
      always: [
        ...[[[req], [stop]], [[hello], [stop]], [[req, hello], [stop]]],
        ...Array(4).fill([[req, hello], [update, kill]]),
      ],
    },
    stops: { share: 0.006, plan: MOCK, events: { stop: 100 }, always: [[[req, hello], [stop]]] },
    forwarding: {
      share: 0.05,
      plan: { flags, limits: LIMITS, apps, tcp: true, tls: true },
      events: { kill: 5, maim: 20 },
    },
  };
}

const CALLS = ["req", "hello", "update", "release", "status"];
/** Each was seen at least so often that a run without it is one that does not look. */
const OUTCOMES: Record<string, string[]> = {
  req: [
    "OK",
    "INVALID_UID ALREADY_EXISTS",
    "INVALID_UID NOT_FOUND",
    "INVALID_UID INVALID_ARGUMENT",
    "BAD_FORMAT INVALID_ARGUMENT value",
    "NO_RESOURCE RESOURCE_EXHAUSTED channels",
    "NO_RESOURCE RESOURCE_EXHAUSTED sessions",
    "NO_RESOURCE RESOURCE_EXHAUSTED ports",
    "NO_RESOURCE RESOURCE_EXHAUSTED rate",
    "TIMEOUT DEADLINE_EXCEEDED",
    "CONN_ERROR UNAVAILABLE",
    "UNAVAILABLE UNAVAILABLE",
    "cancelled",
  ],
  hello: [
    "OK",
    "INVALID_UID NOT_FOUND",
    "INVALID_UID INVALID_ARGUMENT",
    "BAD_FORMAT INVALID_ARGUMENT value",
    "RATE_LIMIT RESOURCE_EXHAUSTED",
    "CONN_ERROR UNAVAILABLE",
    "UNAVAILABLE UNAVAILABLE",
    "cancelled",
  ],
  update: [
    "OK",
    "INVALID_UID NOT_FOUND",
    "INVALID_UID INVALID_ARGUMENT",
    "BAD_FORMAT INVALID_ARGUMENT value",
    "BAD_FORMAT INVALID_ARGUMENT state",
    "NO_RESOURCE RESOURCE_EXHAUSTED rate",
    "CONN_ERROR UNAVAILABLE",
  ],
  release: ["OK", "INVALID_UID NOT_FOUND", "INVALID_UID INVALID_ARGUMENT"],
  status: ["OK", "INVALID_UID NOT_FOUND", "INVALID_UID INVALID_ARGUMENT"],
  list: ["OK"],
  cancel: ["OK", "nothing to give up"],
  expire: ["OK"],
  kill: ["OK"],
  stop: ["OK"],
  maim: ["OK"],
};

async function check(name: string, part: Part, tally: Tally): Promise<void> {
  const { share, plan, events, always = [] } = part;
  await using driver = await Driver.start(plan, tally);
  for (const sequence of always) {
    await driver.begin();
    for (const calls of sequence) await driver.step(calls);
    await driver.finish();
  }
  const sequences = fc.commands(steps(events), { maxCommands: MOST_STEPS, size: "max" });
  const property = fc.asyncProperty(sequences, async (commands) => {
    await driver.begin();
    await fc.asyncModelRun(() => ({ model: {}, real: driver }), commands);
    await driver.finish();
  });
  const found = await fc.check(property, { numRuns: Math.ceil(share * SEQUENCES), seed: SEED });
  if (!found.failed) return;
  const { counterexample, counterexamplePath, numShrinks, errorInstance } = found;
  throw new Error(
    `SCISTREAM_PART=${name} SCISTREAM_SEED=${SEED} (path ${counterexamplePath}) finds after ` +
      `${numShrinks} shortenings:\n\n  ${counterexample?.[0]}\n`,
    { cause: errorInstance },
  );
}

Deno.test("sessions are what the model says, whatever is called and whoever dies", async () => {
  await using servers = new AsyncDisposableStack();
  const named = ["one", "two", "three", "four"].map((name) => servers.use(new NamedServer(name)));
  const apps = named.map(({ name, endpoint }) => ({ name, address: String(endpoint) }));
  const chosen = Object.entries(parts(apps)).filter(([name]) => !PART || name === PART);
  const tally = new Tally();
  // At once and not as steps, of which Deno allows one at a time to open and close things.
  await Promise.all(chosen.map(([name, part]) => check(name, part, tally)));
  console.log(String(tally));
  if (PART || SEQUENCES < USUAL) return;
  const outcomes = Object.entries(OUTCOMES).flatMap(([call, labels]) =>
    labels.map((label) => `${call}: ${label}`)
  );
  const states = CALLS.flatMap((call) =>
    ["none", "early", "waiting", "ready", "streaming"].map((state) => `${call} in ${state}`)
  );
  assertEquals(tally.lacks(outcomes, states), []);
  assert(tally.sequences >= SEQUENCES && tally.steps >= 5 * SEQUENCES, String(tally));
  assert(tally.kills >= 15 && tally.stops >= 8 && tally.maims >= 10, String(tally));
});
