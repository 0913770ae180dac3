import { assert, assertEquals, assertThrows } from "@std/assert";
import { CALL_LIMITS, CallGuard, type CallLimits, LimitError } from "./call_limits.ts";
import { Refusals } from "./refusals.ts";

/** No bound but those of the test. */
const NONE: CallLimits = {
  callRate: 0,
  callRateInAll: 0,
  pendingPerCaller: 0,
  pending: 0,
  badTokenRate: 0,
};

function guarded(some: Partial<CallLimits>) {
  const counted: string[] = [];
  const limits = { ...NONE, ...some };
  const clock = { ms: 0 };
  const now = () => clock.ms;
  const refusals = new Refusals(() => {}, (limit) => counted.push(limit), now);
  const guard = new CallGuard(limits, refusals, now);
  const refuses = (what: () => void, limit: string): LimitError => {
    const before = counted.length;
    const error = assertThrows(what, LimitError);
    assertEquals([error.code, error.status], ["RATE_LIMIT", 8]);
    assertEquals(counted.slice(before), [limit]);
    return error;
  };
  return { guard, limits, clock, refuses };
}

Deno.test("a caller has its rate twice at once, and takes nothing from others", () => {
  const { guard, clock, refuses } = guarded({ callRate: 5 });
  for (let i = 0; i < 10; i++) guard.admit("ada", "ada")();
  refuses(() => guard.admit("ada", "ada"), "call-rate");
  guard.admit("bob", "bob")();
  clock.ms += 200;
  guard.admit("ada", "ada")();
  refuses(() => guard.admit("ada", "ada"), "call-rate");
});

Deno.test("all callers have a rate together, and who was over its own took none of it", () => {
  const { guard, refuses } = guarded({ callRate: 2, callRateInAll: 3 });
  for (let i = 0; i < 4; i++) guard.admit("ada", "ada")();
  for (let i = 0; i < 50; i++) refuses(() => guard.admit("ada", "ada"), "call-rate");
  guard.admit("bob", "bob")();
  guard.admit("bob", "bob")();
  refuses(() => guard.admit("eve", "eve"), "call-rate-in-all");
});

Deno.test("pending calls of a caller are bounded, until one is answered", () => {
  const { guard, refuses } = guarded({ pendingPerCaller: 2 });
  const answered = guard.admit("ada", "ada");
  guard.admit("ada", "ada");
  refuses(() => guard.admit("ada", "ada"), "pending-per-caller");
  guard.admit("bob", "bob");
  assertEquals(guard.pending, 3);
  answered();
  assertEquals(guard.pending, 2);
  guard.admit("ada", "ada");
});

Deno.test("pending calls of all are bounded, until one is answered", () => {
  const { guard, refuses } = guarded({ pending: 2 });
  const answered = guard.admit("ada", "ada");
  guard.admit("bob", "bob");
  refuses(() => guard.admit("eve", "eve"), "pending");
  answered();
  guard.admit("eve", "eve");
  refuses(() => guard.admit("ada", "ada"), "pending");
});

Deno.test("whoever is refused is not pending", () => {
  const { guard } = guarded({ pendingPerCaller: 1 });
  guard.admit("ada", "ada");
  for (let i = 0; i < 10; i++) assertThrows(() => guard.admit("ada", "ada"), LimitError);
  assertEquals(guard.pending, 1);
});

Deno.test("bad tokens are bounded for each address; good ones count for nothing", () => {
  const { guard, clock, refuses } = guarded({ badTokenRate: 1 });
  for (let i = 0; i < 100; i++) guard.checking("10.0.0.1")(false);
  for (let i = 0; i < 10; i++) guard.checking("10.0.0.1")(true);
  refuses(() => guard.checking("10.0.0.1"), "bad-token-rate");
  guard.checking("10.0.0.2")(true);
  clock.ms += 1000;
  guard.checking("10.0.0.1")(true);
  refuses(() => guard.checking("10.0.0.1"), "bad-token-rate");
});

Deno.test("tokens of one address that are being checked are bounded", () => {
  const { guard, refuses } = guarded({});
  const done = Array.from({ length: 32 }, () => guard.checking("10.0.0.1"));
  refuses(() => guard.checking("10.0.0.1"), "token-checks");
  guard.checking("10.0.0.2")(false);
  done[0]?.(true);
  guard.checking("10.0.0.1");
});

Deno.test("0 is no bound, and changed limits count at once", () => {
  const { guard, limits, refuses } = guarded({});
  for (let i = 0; i < 5000; i++) guard.admit("ada", "ada");
  limits.pending = 5000;
  refuses(() => guard.admit("bob", "bob"), "pending");
  limits.pending = 5001;
  guard.admit("bob", "bob");
});

Deno.test("the first refusal in a while is told, and says so", () => {
  const { guard, refuses } = guarded({ pendingPerCaller: 1 });
  guard.admit("ada", "ada");
  assert(refuses(() => guard.admit("ada", "ada"), "pending-per-caller").told);
  assert(!refuses(() => guard.admit("ada", "ada"), "pending-per-caller").told);
});

Deno.test("a hundred clients with one address are served by default", () => {
  const { guard } = guarded(CALL_LIMITS);
  const pending = Array.from({ length: 100 }, () => guard.admit("10.0.0.1", "10.0.0.1"));
  for (let i = 0; i < 800; i++) guard.admit("10.0.0.1", "10.0.0.1")();
  for (const answered of pending) answered();
  assertEquals(guard.pending, 0);
});
