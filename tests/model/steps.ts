/**
 * Sequences of calls for fast-check: what is in them, how often, and how they print.
 * @module
 */
import fc from "fast-check";
import type { Call, Flaw } from "../model.ts";
import type { Driver } from "./driver.ts";

/** fast-check wants something that is the model; the driver has the worlds. */
type Nothing = Record<never, never>;

/** One step of a sequence: a call, or two at once. */
class Step implements fc.AsyncCommand<Nothing, Driver> {
  constructor(readonly calls: Call[]) {}

  /** A call for a session that is not there is one that must be refused. */
  check(): boolean {
    return true;
  }

  run(_model: Nothing, driver: Driver): Promise<void> {
    return driver.step(this.calls);
  }

  toString(): string {
    return this.calls.map(print).join(" ‖ ");
  }
}

function print({ kind, slot, ...rest }: Call): string {
  if (["kill", "stop", "maim", "expire", "list"].includes(kind)) return kind;
  const words = Object.entries(rest).map(([key, value]) =>
    value === false || value === undefined ? "" : ` ${key}=${value}`
  );
  return `${kind} ${slot}${words.join("")}`;
}

// Most are about few uids: otherwise calls would seldom meet.
const slot = fc.constantFrom("a", "a", "a", "a", "b", "b", "c", "d");
const role = fc.constantFrom("PROD", "CONS");
const addresses = (least: number, most: number) =>
  fc.array(fc.nat(3), { minLength: least, maxLength: most });

/** Most messages have none. */
function flawed(...flaws: Flaw[]): fc.Arbitrary<Flaw | undefined> {
  return fc.oneof(
    { weight: 24, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...flaws) },
  );
}

const req = fc.record({
  kind: fc.constant("req"),
  slot,
  role,
  num: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 3 }) }, {
    weight: 1,
    arbitrary: fc.constant(4),
  }),
  rate: fc.constantFrom(0, 0, 300, 600, 1001),
  flaw: flawed("uid", "role", "num_conn", "rate"),
});
const hello = fc.record({
  kind: fc.constant("hello"),
  slot,
  role,
  apps: addresses(0, 3),
  flaw: flawed("uid", "role", "address"),
});
const update = fc.record({
  kind: fc.constant("update"),
  slot,
  targets: addresses(0, 4),
  rate: fc.constantFrom(0, 0, 0, 400, 800, -1),
  flaw: flawed("uid", "role", "rate", "address"),
});
const release = fc.record({
  kind: fc.constant("release"),
  slot,
  force: fc.boolean(),
  flaw: flawed("uid"),
});
const status = fc.record({ kind: fc.constant("status"), slot, flaw: flawed("uid") });
const list = fc.record({ kind: fc.constant("list"), slot });
const cancel = fc.record({ kind: fc.constant("cancel"), slot });

/** What else can happen in a property, and how often in a thousand steps. */
export type Events = Partial<Record<"kill" | "stop" | "maim" | "expire", number>>;

/** The steps of a property. */
export function steps(events: Events): fc.Arbitrary<Step>[] {
  const weigh = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
  const changing = [weigh(4, req), weigh(4, hello), weigh(8, update), weigh(3, release)];
  const any = fc.oneof(...changing, weigh(1, status), weigh(1, list), weigh(2, cancel));
  const opening = fc.tuple(req, hello).map(([req, hello]) => [
    { ...req, flaw: undefined },
    { ...hello, slot: req.slot, flaw: undefined },
  ]);
  // About one uid: most of what can go wrong between two calls needs that.
  const same = fc.tuple(any, any, slot).map(([one, other, slot]) => [
    { ...one, slot },
    { ...other, slot },
  ]);
  const happening = Object.entries(events).flatMap(([kind, often]) => {
    const event = fc.record({ kind: fc.constant(kind), slot: fc.constant("a") });
    const alone = weigh(often, fc.tuple(event));
    // What dies dies in the middle of a call, too.
    const during = weigh(often, fc.tuple(fc.oneof(...changing), event));
    return kind === "kill" || kind === "maim" ? [alone, during] : [alone];
  });
  const step: fc.Arbitrary<unknown> = fc.oneof(
    weigh(270, opening),
    weigh(450, fc.tuple(any)),
    weigh(80, fc.tuple(any, any)),
    weigh(200, same),
    ...happening,
  );
  return [step.map((calls) => new Step(calls as Call[]))];
}
