/**
 * docs/json.md tells of every key that `--json` prints, and of no other: real commands are run, and
 * their keys compared.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { everyGroup } from "../cmd/scistream.ts";
import { Uid } from "../lib/protocol/uid.ts";
import {
  assertOk,
  type Ended,
  freePort,
  Gateway,
  Running,
  SCISTREAM,
  scistream,
  tempFolder,
} from "./harness.ts";
import { authenticated, call, GATEWAY, globusFlags, scopeOf } from "./oauth/gateway.ts";
import { codeOf, User } from "./oauth/user.ts";

type Json = Record<string, unknown>;

const PAGE = Deno.readTextFileSync(new URL("../docs/json.md", import.meta.url));

/** Keys by heading: those of every value under "JSON". */
const DOCUMENTED = new Map(
  PAGE.split(/^##? /m).slice(1).map((section) => {
    const [title = ""] = section.split("\n", 1);
    const keys = [...section.matchAll(/^\| `(\w+)` +\|/gm)].map((match) => match[1] as string);
    return [title.replaceAll("`", ""), keys];
  }),
);

/** The keys under these headings together, sorted. */
function documented(...titles: string[]): string[] {
  return titles.flatMap((title) => {
    const keys = DOCUMENTED.get(title);
    assert(keys && keys.length > 0, `docs/json.md has no keys under ${title}`);
    return keys;
  }).sort();
}

const keysOf = (value: unknown) => Object.keys(value as Json).sort();
const SESSION = "A session";
/** Kinds whose keys are those of something else too. */
const MORE: Record<string, string[]> = { status: [SESSION] };

/** Every line of stdout is a value of a kind that the page tells of, with its keys; answers them. */
function values({ out }: { out: string }): Json[] {
  return out.trimEnd().split("\n").map((line) => {
    const value: Json = JSON.parse(line);
    const kind = String(value.kind);
    assertEquals(value.v, 1);
    const optional = kind === "auth" && !("token" in value) ? ["token"] : [];
    assertEquals(
      [...keysOf(value), ...optional].sort(),
      documented("JSON", kind, ...MORE[kind] ?? []),
      kind,
    );
    if (kind === "status") assertChannels(value, "A channel");
    if (kind === "path") {
      for (const each of value.channels as Json[]) {
        assertEquals(keysOf(each), documented("A channel of a path"));
      }
    }
    for (const each of kind === "list" || kind === "watch" ? value.sessions as Json[] : []) {
      assertEquals(keysOf(each), documented(SESSION));
      assertChannels(each, "A channel", ...kind === "watch" ? ["A watched channel"] : []);
    }
    return value;
  });
}

function assertChannels(session: Json, ...titles: string[]): void {
  for (const each of session.channels as Json[]) assertEquals(keysOf(each), documented(...titles));
}

/** Runs a command that ends well; answers what it printed, checked. */
async function json(...args: string[]): Promise<Json[]> {
  return values(assertOk(await scistream([...args, "--json"])));
}

const kinds = (all: readonly Json[]) => all.map(({ kind }) => kind);

/** The error that a command's stderr ends with. */
function errorOf({ out, err }: Ended): Json {
  assertEquals(out, "");
  const value: Json = JSON.parse(err.trimEnd().split("\n").at(-1) as string);
  assertEquals([keysOf(value), keysOf(value.error)], [["error", "v"], ["code", "message"]]);
  return value.error as Json;
}

Deno.test("--json: a session's whole life, each value as docs/json.md has it", async () => {
  await using prod = await Gateway.start("--type=Mock");
  await using cons = await Gateway.start("--type=Mock");
  const both = `${prod.folder.path}/both.crt`;
  Deno.writeTextFileSync(both, Deno.readTextFileSync(prod.cert) + Deno.readTextFileSync(cons.cert));
  const cert = ["--server-cert", both];
  const servers = ["--s2cs", `${prod.address},${cons.address}`, ...cert];
  const [made] = await json(
    ...["s2uc", "connect", "--prod-s2cs", prod.address, "--cons-s2cs", cons.address, ...cert],
    ...["--receiver_ports=5001"],
  );
  const uid = String(made?.uid);
  assertEquals(made?.kind, "connect");
  const seen = await json("s2uc", "check-status", uid, ...servers);
  assertEquals(kinds(seen), ["status", "status", "path"]);
  assertEquals(seen[2]?.meets, true);
  assertEquals(kinds(await json("s2uc", "list", ...servers)), ["list", "list"]);
  assertEquals(kinds(await json("s2uc", "watch", ...prod.flags, "--count=2")), ["watch", "watch"]);
  assertEquals(kinds(await json("s2uc", "watch", uid, ...prod.flags, "--count=1")), ["watch"]);
  assertEquals(kinds(await json("s2uc", "update", uid, "--rate=5", ...prod.flags)), ["update"]);
  const released = await json("s2uc", "release", uid, ...servers);
  const { session } = Uid.parse(uid);
  assertEquals(released.map(({ sessions }) => sessions), [[session], [session]]);

  const inbound = await json("s2uc", "inbound-request", ...prod.flags);
  assertEquals(kinds(inbound), ["request", "session"]);
  const request = new Running([...SCISTREAM, "s2uc", "prod-req", ...prod.flags, "--json"]);
  const [line] = await request.line(/^\{.*\}$/m);
  const asked = JSON.parse(line);
  const [hello] = await json(
    ...["appctrl", "mock", asked.uid, asked.s2cs, asked.access_token, asked.role],
    ...cert,
  );
  assertEquals(hello?.kind, "hello");
  assertEquals(kinds(values(assertOk(await request.ended))), ["request", "session"]);
});

Deno.test("--json: init and doctor", async () => {
  using folder = tempFolder();
  const gateway = ["--listener-ip=127.0.0.1", `--port=${freePort()}`];
  const [made] = await json("init", "--yes", `--dir=${folder.path}`, ...gateway);
  assertEquals([made?.kind, made?.config], ["init", `${folder.path}/s2cs.toml`]);
  const checks = await json("doctor", `--config=${made?.config}`);
  assert(checks.length > 10);
  assertEquals(new Set(kinds(checks)), new Set(["check"]));
});

Deno.test("--json: cert and --version", async () => {
  using folder = tempFolder();
  const { path } = folder;
  const files = [`--out-crt=${path}/c`, `--out-key=${path}/k`];
  assertEquals(kinds(await json("cert", "--ip=127.0.0.1", ...files)), ["cert"]);
  for (const words of [["--version"], ["version"], ["s2uc", "--version"]]) {
    assertEquals(kinds(await json(...words)), ["version"]);
  }
});

Deno.test("--json: login, check-auth, create-scope and logout", async () => {
  await using facility = await authenticated(["--type=Mock"]);
  const { oauth, gateway } = facility;
  using alice = new User("alice@anl.gov");
  alice.configure(
    `[servers."${gateway.address}"]\nscope = "${GATEWAY.id}"\nserver-cert = "${gateway.cert}"\n`,
  );
  const process = alice.start(["s2uc", "login", `--globus-url=${oauth.url}`, "--json"]);
  const [line] = await process.line(/^\{.*\}$/m);
  await process.line(/Enter the resulting Authorization Code here:/, "err");
  const { signIn } = await import("./oauth/browser.ts");
  await process.type(codeOf(await signIn(JSON.parse(line).url, alice.name)));
  const login = assertOk(await process.ended);
  assertEquals(kinds(values(login)), ["login-url", "login"]);
  const auth = async (...flags: string[]) =>
    values(assertOk(await alice.run("s2uc", "check-auth", "--json", ...flags)))[0];
  assertEquals((await auth())?.token, undefined);
  const token = String((await auth("--show-token"))?.token);
  assertEquals((await call(gateway, token, "whoami")).name, alice.name);
  const out = values(assertOk(await alice.run("s2uc", "logout", "--json")));
  assertEquals(out, [{ v: 1, kind: "logout", scope: scopeOf(GATEWAY), revoked: true }]);

  globusFlags(oauth, alice.home);
  const secret = `${alice.home}/${GATEWAY.id}.secret`;
  const scope = await json(
    ...["s2uc", "create-scope", `--client-id=${GATEWAY.id}`, `--client-secret-file=${secret}`],
    ...[`--globus-url=${oauth.url}`, "--suffix=more"],
  );
  assertEquals(kinds(scope), ["scope"]);
});

Deno.test("--json: an error is one line of JSON on stderr, and exit codes stay", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const uid = Uid.random().reveal();
  const nobody = `127.0.0.1:${freePort()}`;
  const cases: [string[], string, number][] = [
    [["s2uc", "list", "--s2cs", nobody, "--server-cert", gateway.cert], "CONN_ERROR", 3],
    [["s2uc", "check-status", uid, ...gateway.flags], "INVALID_UID", 1],
    [["s2uc", "watch", uid, ...gateway.flags], "INVALID_UID", 1],
    [["s2uc", "release", "/", ...gateway.flags], "INVALID_UID", 2],
    [["s2uc", "list", "--bogus"], "USAGE", 2],
    [["bogus"], "USAGE", 2],
  ];
  for (const [words, code, exit] of cases) {
    const ended = await scistream([...words, "--json"]);
    assertEquals([ended.code, errorOf(ended).code], [exit, code], words.join(" "));
  }
  // What the environment asks for is asked for.
  const quiet = await scistream(["s2uc", "list", "--s2cs", nobody, "--server-cert", gateway.cert], {
    env: { SCISTREAM_JSON: "true" },
  });
  assertEquals(errorOf(quiet).code, "CONN_ERROR");
  // Of several servers, those that answer are heard.
  const some = await scistream([
    ...["s2uc", "list", "--json", "--s2cs", nobody, ...gateway.flags],
  ]);
  assertEquals([some.code, kinds(values(some))], [3, ["list"]]);
  assertMatch(some.err, /^\{"v":1,"error":\{"code":"CONN_ERROR",.*\}\}\n$/);
});

Deno.test("--json: every command that prints results has it", async () => {
  const without = (await everyGroup()).flatMap(({ name: group, commands }) =>
    commands.filter(({ flags }) => !("json" in flags)).map(({ name }) =>
      name === "print" ? group : name
    )
  );
  assertEquals(without, [
    "start",
    "create-appctrl",
    "run",
    "iperf-server",
    "iperf-client",
    "run-producer",
    "subscribe",
    "run",
    "completions",
    "man",
  ]);
});
