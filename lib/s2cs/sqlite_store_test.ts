import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { Uid } from "../protocol/uid.ts";
import type { Session } from "./session.ts";
import { SqliteStore } from "./sqlite_store.ts";

function setUp() {
  const folder = Deno.makeTempDirSync({ prefix: "scistream-store-" });
  const warnings: string[] = [];
  const path = `${folder}/sessions.db`;
  return {
    folder,
    path,
    warnings,
    open: () => SqliteStore.open(path, (sentence) => warnings.push(sentence)),
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

const session = (uid = Uid.random(), more: Partial<Session> = {}): Session => ({
  uid,
  role: "PROD",
  owner: { id: "https://idp 7", name: "alice@anl.gov" },
  rate: 100,
  createdMs: 1_790_000_000_000,
  state: "streaming",
  reason: "",
  node: "gw2",
  moved: { from: "gw1", atMs: 1_790_000_000_001 },
  listeners: [new Endpoint("10.0.0.1", 5100), new Endpoint("fd00::1", 5101)],
  appListeners: [new Endpoint("app.example", 7000)],
  allow: Networks.parse(["10.0.0.0/8"]),
  warnings: ["weak"],
  targets: [new Endpoint("app.example", 7000), new Endpoint("app.example", 7000)],
  ...more,
});

/** As plain values, without what is not there. */
const shown = (each: Session | undefined) =>
  each && JSON.parse(JSON.stringify({ ...each, uid: each.uid.reveal(), allow: each.allow?.texts }));

Deno.test("sessions come back as they were, in their order, whatever ended the process", () => {
  using at = setUp();
  const first = at.open();
  const [a, b, c] = [
    session(),
    session(Uid.random(), { owner: undefined, allow: undefined, role: "CONS" }),
    session(),
  ];
  for (const each of [a, b, c]) first.put(each);
  first.delete(c.uid);
  a.state = "failed";
  a.reason = "it is gone";
  first.put(a);
  // Not closed: as after kill -9.
  using second = at.open();
  assertEquals(second.all().map(shown), [a, b].map(shown));
  assertEquals(shown(second.get(b.uid)), shown(b));
  assertEquals([second.size, second.get(c.uid), at.warnings], [2, undefined, []]);
  first[Symbol.dispose]();
});

Deno.test("nobody else can read the uids", () => {
  using at = setUp();
  using store = at.open();
  store.put(session());
  for (const { name } of Deno.readDirSync(at.folder)) {
    assertEquals((Deno.statSync(`${at.folder}/${name}`).mode ?? 0) & 0o777, 0o600, name);
  }
});

Deno.test("a file of a later version is left alone", () => {
  using at = setUp();
  at.open()[Symbol.dispose]();
  const database = new DatabaseSync(at.path);
  database.exec("PRAGMA user_version = 99");
  database.close();
  const before = Deno.readFileSync(at.path);
  const error = assertThrows(() => at.open(), ScistreamError, "later version of s2cs (format 99");
  assertEquals([error.code, at.warnings], ["VERSION_ERR", []]);
  assertEquals(Deno.readFileSync(at.path), before);
});

Deno.test("a damaged file is moved aside and kept, and a new one begun", () => {
  const damages: ((path: string) => void)[] = [
    (path) =>
      Deno.writeTextFileSync(
        path,
        "this is no database, but long enough to look like one".repeat(20),
      ),
    (path) => {
      const bytes = Deno.readFileSync(path);
      Deno.writeFileSync(path, bytes.fill(0x5a, 100));
    },
    (path) => sql(path, "UPDATE session SET record = '{'"),
    (path) => sql(path, "UPDATE session SET state = 'dancing'"),
    (path) => sql(path, "UPDATE session SET uid = '../../etc/passwd'"),
    (path) => sql(path, "UPDATE session SET record = '[]'"),
  ];
  for (const [i, damage] of damages.entries()) {
    using at = setUp();
    const first = at.open();
    first.put(session());
    first[Symbol.dispose]();
    damage(at.path);
    const damaged = Deno.readFileSync(at.path);
    using second = at.open();
    assertEquals([second.size, at.warnings.length], [0, 1], `damage ${i}`);
    const aside = /it is now (\S+)$/.exec(at.warnings[0] ?? "")?.[1] ?? "";
    assertEquals(Deno.readFileSync(aside), damaged);
    second.put(session());
  }
});

Deno.test("a file is complete once it was said to be, and a new one in its place is not", () => {
  using at = setUp();
  const first = at.open();
  assertEquals(first.isComplete, false);
  first.completed();
  first[Symbol.dispose]();
  const second = at.open();
  assertEquals(second.isComplete, true);
  second[Symbol.dispose]();
  Deno.writeTextFileSync(at.path, "no database ".repeat(1000));
  for (let i = 0; i < 2; i++) {
    using third = at.open();
    assertEquals(third.isComplete, false);
  }
});

function sql(path: string, statement: string): void {
  const database = new DatabaseSync(path);
  database.exec(statement);
  database.close();
}

Deno.test("each write that fails is told of, whether it is refused or owed", () => {
  using at = setUp();
  let failed = 0;
  using store = SqliteStore.open(at.path, () => {}, () => failed++);
  const one = session();
  store.put(one);
  sql(at.path, "ALTER TABLE session RENAME TO elsewhere");
  assertThrows(() => store.put(session()), ScistreamError);
  store.note(one);
  assertEquals(failed, 2);
  sql(at.path, "ALTER TABLE elsewhere RENAME TO session");
  store.delete(one.uid);
  assertEquals(failed, 2);
});

Deno.test("a file that cannot be opened is an error with its name", () => {
  using at = setUp();
  Deno.mkdirSync(at.path);
  assertThrows(() => at.open(), Error, "sessions.db");
});
