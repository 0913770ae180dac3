/**
 * What each command may do once it runs: asked of the real process, which was granted everything.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { everyGroup } from "../cmd/scistream.ts";
import { makeCertificate } from "../lib/certificate.ts";
import { POWERS } from "../lib/cli/powers.ts";
import { freePort, Running, tempFolder } from "./harness.ts";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("..", import.meta.url).pathname;
const PROBE = `${ROOT}tests/powers_probe.ts`;
const NOBODY = "127.0.0.1:1";
const UID = "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3";
const GROUPS = await everyGroup();
const LOGIN = ["--scope=a", "--issuer=http://127.0.0.1:1", "--client-id=a"];

/** Ends by itself, or at the line, after its command has begun; what it fails at does not matter. */
const COMMAND_LINES: Record<string, { argv: string[]; until?: RegExp }> = {
  "s2cs": {
    argv: [
      "--listener-ip=127.0.0.1",
      "--port=0",
      "--workers=1",
      "--server-crt=c",
      "--server-key=k",
    ],
    until: /gRPC Server started/,
  },
  "s2ds": { argv: ["--control-socket=s"], until: /ready/ },
  "s2ds --session": { argv: ["--session=session"], until: /listening/ },
  "cert": { argv: ["--ip=127.0.0.1"] },
  "completions": { argv: ["bash"] },
  "man": { argv: [] },
  "init": { argv: ["--yes", "--listener-ip=127.0.0.1", "--dir=made"] },
  "doctor": { argv: [] },
  "s2uc prod-req": { argv: [`--s2cs=${NOBODY}`] },
  "s2uc cons-req": { argv: [`--s2cs=${NOBODY}`, UID, NOBODY] },
  "s2uc inbound-request": { argv: [`--s2cs=${NOBODY}`] },
  "s2uc outbound-request": { argv: [`--s2cs=${NOBODY}`, UID, NOBODY] },
  "s2uc connect": { argv: [`--prod-s2cs=${NOBODY}`, `--cons-s2cs=${NOBODY}`] },
  "s2uc update": { argv: [`--s2cs=${NOBODY}`, "--rate=1", UID] },
  "s2uc release": { argv: [`--s2cs=${NOBODY}`, UID] },
  "s2uc check-status": { argv: [`--s2cs=${NOBODY}`, UID] },
  "s2uc watch": { argv: [`--s2cs=${NOBODY}`] },
  "s2uc list": { argv: [`--s2cs=${NOBODY}`] },
  "s2uc login": { argv: LOGIN },
  "s2uc login --browser": { argv: ["--browser", ...LOGIN] },
  "s2uc logout": { argv: [] },
  "s2uc check-auth": { argv: [`--scope=a`] },
  "s2uc create-scope": {
    argv: ["--client-id=a", "--client-secret=b", "--globus-url=http://127.0.0.1:1"],
  },
  "appctrl mock": { argv: [UID, NOBODY, "INVALID_TOKEN", "PROD"] },
  "appctrl create-appctrl": { argv: [UID, NOBODY, "INVALID_TOKEN", "PROD"] },
  "appctrl run": { argv: [UID, NOBODY, "INVALID_TOKEN", "CONS", "--", "true"] },
  "appctrl iperf-server": { argv: ["nowhere"] },
  "appctrl iperf-client": { argv: [NOBODY] },
  "appctrl run-producer": { argv: ["--count=0", String(freePort())] },
  "appctrl subscribe": { argv: ["nowhere"] },
};

/** Every command by the words that run it, and what its record says that it needs. */
function records(): Map<string, string> {
  return new Map(GROUPS.flatMap((group) =>
    group.commands.map((each) => [
      each.name === group.standard ? group.name : `${group.name} ${each.name}`,
      each.needs.join(", "),
    ])
  ));
}

/** Runs a command in a process that was granted everything; answers what it may still do at its end. */
async function granted(words: string, argv: readonly string[], until?: RegExp): Promise<string> {
  using folder = tempFolder();
  const { cert, key } = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  Deno.writeTextFileSync(`${folder.path}/c`, cert);
  Deno.writeTextFileSync(`${folder.path}/k`, key, { mode: 0o600 });
  const listeners = [`127.0.0.1:${freePort()}`];
  const session = { role: "PROD", listeners, allow: [], rate: 0, udp: false };
  Deno.writeTextFileSync(`${folder.path}/session`, JSON.stringify(session));
  const entry = `${ROOT}cmd/scistream.ts`;
  const process = new Running([
    ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only"],
    "--allow-all", // that what it was granted too much is given up is what this is about
    ...["--config", `${ROOT}deno.json`, "--preload", PROBE, entry],
    ...words.split(" ").filter((word) => !word.startsWith("-")),
    ...argv,
  ], {
    cwd: folder.path,
    stdin: "",
    env: { SCISTREAM_STATE_DIR: `${folder.path}/state`, BROWSER: "true" },
  });
  const begun = until && process.line(until).catch(() => {});
  if (until) await Promise.race([begun, process.ended]);
  const { err } = until ? await process.stop() : await process.ended;
  const found = /^still granted: (.*)$/m.exec(err)?.[1];
  assert(found !== undefined, `${words}: ${err}`);
  return found;
}

Deno.test("each command gives up what it does not need, whatever it was granted", async () => {
  const expected = records();
  // Only the browser is a program that is started.
  const client = expected.get("s2uc list") as string;
  expected.set("s2uc login --browser", expected.get("s2uc login") as string);
  expected.set("s2uc login", client);
  // By hand it asks for its limit of open files first.
  expected.set("s2ds", "net, read, write");
  expected.set("s2ds --session", "net");
  assertEquals(Object.keys(COMMAND_LINES).sort(), [...expected.keys()].sort());
  for (const [words, { argv, until }] of Object.entries(COMMAND_LINES)) {
    assertEquals(await granted(words, argv, until), expected.get(words), words);
  }
});

Deno.test("the executable is granted what some command needs, and no more", () => {
  const flags = config.tasks.scistream.split(" ").filter((word) => word.startsWith("--allow-"));
  const needed = new Set([...records().values()].flatMap((needs) => needs.split(", ")));
  const inOrder = POWERS.filter((power) => needed.has(power));
  assertEquals(flags, inOrder.map((power) => `--allow-${power}`));
});

Deno.test("docs/security.md tells of each command what it keeps", () => {
  const page = Deno.readTextFileSync(`${ROOT}docs/security.md`);
  const rows = [...page.matchAll(/^\| ((?:`[a-z0-9 -]+`¹?(?:, )?)+) +\| ([a-z, ]+?) +\|/gm)];
  const told = new Map(
    rows.flatMap(([, names, powers]) =>
      [...(names as string).matchAll(/`([^`]+)`/g)].map(([, name]) => [name as string, powers])
    ),
  );
  const short = new Map(
    [...records()].map(([words, needs]) => [words, told.has(words) ? needs : undefined]),
  );
  for (const [words, needs] of short) {
    const group = words.split(" ")[0] as string;
    assertEquals(
      told.get(words) ?? told.get(`${group} others`),
      records().get(words) || "nothing",
      `${words} ${needs}`,
    );
  }
});
