import { assertEquals, assertThrows } from "@std/assert";
import type { Principal } from "../auth/authenticator.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { Uid } from "../protocol/uid.ts";
import type { Session } from "./session.ts";
import { type Held, Sessions } from "./sessions.ts";

const who = (id: string, admin = false): Principal => ({ id, name: id, admin, expiresMs: 0 });

function made(uid: string, owner?: string, rate = 0): Held {
  const session: Session = {
    uid: Uid.parse(uid),
    role: "PROD",
    owner: owner === undefined ? undefined : { id: owner, name: owner },
    rate,
    createdMs: 0,
    state: "ready",
    reason: "",
    node: "",
    listeners: [],
    appListeners: [],
    targets: [],
    warnings: [],
  };
  return { session, channels: 2 };
}

function sessions(capacity = 0, most = 0) {
  return new Sessions<Held>({
    ...{ maxSessions: 10, maxConn: 10, ratePolicy: "reserve", capacity },
    quotas: { sessions: most, channels: 0, rate: 0 },
  });
}

const asked = (rate: number) => ({ uid: Uid.parse("another-one"), numConn: 1, rate });

Deno.test("what rates are reserved is known without a look at every session", () => {
  const all = sessions(100);
  const [a, b] = [made("session-a", undefined, 60), made("session-b", undefined, 30)];
  all.add(a);
  all.add(b);
  const left = (rate: number) => {
    all.assertRoom(asked(rate), undefined);
    assertThrows(
      () => all.assertRoom(asked(rate + 1), undefined),
      ScistreamError,
      `${rate} of this gateway's 100 kB/s`,
    );
  };
  left(10);
  all.assertRate(a.session, 70);
  assertThrows(() => all.assertRate(a.session, 71), ScistreamError, "70 of this");
  all.rerate(a.session, 20);
  left(50);
  all.delete(a.session.uid);
  left(70);
  // It ended while it was given another one, or is deleted twice.
  all.rerate(a.session, 90);
  all.delete(a.session.uid);
  left(70);
});

Deno.test("an owner's sessions are found without a look at the others', oldest first", () => {
  const all = sessions(0, 2);
  const [a, b, c] = [made("session-a", "ann"), made("session-b", "bob"), made("session-c", "ann")];
  for (const each of [a, b, c]) all.add(each);
  const names = (caller?: Principal) =>
    all.visibleTo(caller).map(({ session }) => session.uid.session);
  const [an, bn, cn] = [a, b, c].map(({ session }) => session.uid.session);
  assertEquals(names(who("ann")), [an, cn]);
  assertEquals(names(who("eve")), []);
  assertEquals(names(who("eve", true)), [an, bn, cn]);
  assertEquals(names(), [an, bn, cn]);
  all.assertRoom(asked(0), who("bob"));
  assertThrows(() => all.assertRoom(asked(0), who("ann")), ScistreamError, "your 2 sessions");
  // What is ending counts no more.
  a.ending = Promise.resolve();
  all.assertRoom(asked(0), who("ann"));
  all.delete(c.session.uid);
  assertEquals(names(who("ann")), [an]);
  assertEquals([all.size, all.count(({ owner }) => owner?.id === "bob")], [2, 1]);
});
