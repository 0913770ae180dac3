/**
 * Files that this program wrote, and that somebody or something may have changed since.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { TokenStore } from "../../../lib/auth/token_store.ts";
import { Networks } from "../../../lib/protocol/cidr.ts";
import { Endpoint } from "../../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import { MOCK_UID } from "../../../lib/protocol/uid.ts";
import type { Session } from "../../../lib/s2cs/session.ts";
import { SqliteStore } from "../../../lib/s2cs/sqlite_store.ts";
import { attempt, attemptLater, isDate, isRecord, jsonOf, type Target, textOf } from "../target.ts";

let folder = "";

/** A folder while a target runs, with an empty file of sessions. */
function prepare(): Promise<AsyncDisposable> {
  folder = Deno.makeTempDirSync();
  SqliteStore.open(`${folder}/empty`, () => {})[Symbol.dispose]();
  return Promise.resolve({
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  });
}

const TOKEN = "zQ7xKw3JpV9mTb5h";
const LOGIN = {
  issuer: "https://idp.example.invalid",
  globus: false,
  clientId: "c",
  scope: "scistream",
  name: "alice",
  accessToken: TOKEN,
  refreshToken: "r",
  issuedMs: 1,
  expiresMs: 0,
};

const logins: Target = {
  name: "token_store",
  seeds: [JSON.stringify({ format: 1, logins: [LOGIN] }), '{"format":2,"logins":[]}', "null"],
  dictionary: Object.entries(LOGIN).map(([key, value]) => `"${key}":${JSON.stringify(value)}`),
  fresh: 300,
  prepare,
  async run(bytes) {
    const store = new TokenStore(folder);
    Deno.writeFileSync(store.path, bytes, { mode: 0o600 });
    const { value } = await attemptLater(() => store.read(), [ScistreamError], [TOKEN]);
    if (!value) return;
    assert(!JSON.stringify(value).includes(TOKEN) || value[0]?.accessToken.reveal() !== TOKEN);
    const { logins: written } = jsonOf(bytes) as { logins: Record<string, unknown>[] };
    value.forEach(({ accessToken, refreshToken }, i) => {
      const { accessToken: access, refreshToken: refresh } = written[i] ?? {};
      assertEquals([accessToken.reveal(), refreshToken?.reveal()] as unknown[], [access, refresh]);
    });
    for (const each of value) assert(isDate(each.issuedMs) && isDate(each.expiresMs), "times");
    await store.change((all) => Promise.resolve(all));
    const reveal = (logins: typeof value) =>
      logins.map((each) => [each, each.accessToken.reveal(), each.refreshToken?.reveal()]);
    assertEquals(JSON.stringify(reveal(await store.read())), JSON.stringify(reveal(value)));
  },
};

const RECORD = {
  owner: { id: "i s", name: "alice" },
  rate: 5,
  reason: "",
  allow: ["10.0.0.0/8"],
  warnings: ["weak"],
  listeners: ["192.0.2.1:5100"],
  appListeners: ["10.0.0.2:80"],
  targets: ["[fd00::1]:5100"],
};

/** A row: role, state, when it was made, the uid and the record, a line each. */
function row(record: unknown, state = "streaming", role = "PROD"): string {
  return [role, state, "1700000000000", MOCK_UID, JSON.stringify(record)].join("\n");
}

function assertSession({ createdMs, owner, rate, reason, allow, warnings, ...rest }: Session) {
  assert(Number.isSafeInteger(createdMs) && Number.isInteger(rate) && rate >= 0, "numbers");
  const named = isRecord(owner) && typeof owner.id === "string" && typeof owner.name === "string";
  assert(owner === undefined || named, "owner");
  assertEquals(typeof reason, "string");
  assert(Array.isArray(warnings) && warnings.every((each) => typeof each === "string"), "warnings");
  assert(allow === undefined || allow instanceof Networks);
  for (const list of [rest.listeners, rest.appListeners, rest.targets]) {
    for (const each of list) assertEquals(Endpoint.parse(String(each)), each);
  }
}

const sessions: Target = {
  name: "session_store",
  seeds: [
    row(RECORD),
    row({ ...RECORD, owner: undefined, allow: undefined }, "waiting", "CONS"),
    row(null),
  ],
  dictionary: [
    ...Object.entries(RECORD).map(([key, value]) => `"${key}":${JSON.stringify(value)}`),
    '"rate":"x"',
    '"owner":7',
    '"warnings":null',
    '"reason":{}',
    '["a:1"]',
    "waiting\n",
    "CONS\n",
  ],
  fresh: 40,
  prepare,
  run(bytes) {
    const [role = "", state = "", created = "", uid = "", ...record] = textOf(bytes).split("\n");
    const path = `${folder}/${crypto.randomUUID()}.db`;
    Deno.copyFileSync(`${folder}/empty`, path);
    const written = new DatabaseSync(path);
    written.exec("PRAGMA synchronous = OFF");
    const ms = /^\d{1,18}$/.test(created) ? BigInt(created) : 0n;
    written.prepare("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)")
      .run("h", uid, role, state, ms, record.join("\n"));
    written.close();
    const warnings: string[] = [];
    const opened = attempt(
      () => SqliteStore.open(path, (sentence) => void warnings.push(sentence)),
      [ScistreamError],
      [MOCK_UID],
    );
    for (const warning of warnings) assert(!warning.includes(MOCK_UID), warning);
    if (opened.value) {
      using store = opened.value;
      assertEquals(store.size + warnings.length, 1, "a session, or a warning");
      for (const session of store.all()) {
        assertSession(session);
        store.put(session);
      }
    }
    for (const { name } of Deno.readDirSync(folder)) {
      if (name !== "empty") Deno.removeSync(`${folder}/${name}`);
    }
  },
};

/** Those of this file. */
export const storeTargets: readonly Target[] = [logins, sessions];
