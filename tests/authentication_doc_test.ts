/**
 * docs/authentication.md, command for command, against real providers. Its addresses are moved to
 * this machine's loopback network, which has as many; the rest is run as it stands.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { echoes, EchoServer } from "./echo.ts";
import { assertOk, type Ended, Running, SCISTREAM, tempFolder } from "./harness.ts";
import { GATEWAY, globus, OTHER, plain } from "./oauth/gateway.ts";
import type { LastPage } from "./oauth/browser.ts";
import type { OAuthServer } from "./oauth/provider.ts";
import { codeOf, User } from "./oauth/user.ts";

const PAGE = Deno.readTextFileSync(new URL("../docs/authentication.md", import.meta.url));
const ALICE = "alice@uchicago.edu";

/** The page's blocks in a language, in order, with addresses that are here. */
function blocks(head: string, moved: Record<string, string> = {}): string[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${head}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((
    [, text],
  ) =>
    Object.entries({ "192.168.": "127.168.", ...moved }).reduce(
      (text, [from, to]) => text.replaceAll(from, to),
      text ?? "",
    )
  );
}

/** Somebody's machine: a folder, the commands on the path, an environment. */
class Machine implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly #servers: Running[] = [];
  readonly env: Record<string, string>;

  constructor(env: Record<string, string>) {
    const bin = `${this.path}/bin`;
    Deno.mkdirSync(bin);
    const quoted = SCISTREAM.map((word) => `'${word}'`).join(" ");
    for (const name of ["scistream", "s2cs", "s2uc", "appctrl"]) {
      const sub = name === "scistream" ? "" : name;
      Deno.writeTextFileSync(`${bin}/${name}`, `#!/bin/sh\nexec ${quoted} ${sub} "$@"\n`, {
        mode: 0o755,
      });
    }
    this.env = {
      PATH: `${bin}:${Deno.env.get("PATH")}`,
      SCISTREAM_STATE_DIR: `${this.path}/state`,
      ...env,
    };
  }

  get path(): string {
    return this.#folder.path;
  }

  /** Runs a line to its end. */
  run(line: string, env: Record<string, string> = {}): Promise<Ended> {
    return new Running(["sh", "-c", line], { cwd: this.path, env: { ...this.env, ...env } }).ended;
  }

  /** Runs the lines of a gateway's block; the control server goes on. */
  async serve(block: string): Promise<Running> {
    const lines = block.trim().split("\n");
    const server = lines.pop() ?? "";
    assertMatch(server, /^s2cs /);
    for (const line of lines) assertOk(await this.run(line));
    const running = new Running(["sh", "-c", `exec ${server}`], { cwd: this.path, env: this.env });
    this.#servers.push(running);
    await running.line(/^Secure gRPC Server started on \S+:5007$/m);
    return running;
  }

  async [Symbol.asyncDispose]() {
    for (const server of this.#servers) await server.stop();
    this.#folder[Symbol.dispose]();
  }
}

/** The user's lines, one after another; answers what each printed. */
async function work(alice: User, user: Machine, block: string, copy: (page: LastPage) => string) {
  const said: Record<string, string> = {};
  for (const line of block.trim().split("\n")) {
    const command = line.split(" ").slice(0, 2).join(" ");
    const ended = command === "s2uc login"
      ? await alice.login([], copy, user)
      : await user.run(line, alice.env);
    said[command] = assertOk(ended).out;
  }
  return said;
}

Deno.test("docs/authentication.md: with Globus", async () => {
  await using oauth = await globus();
  const env = { GLOBUS_SDK_SERVICE_URL_AUTH: oauth.url };
  await using echo = new EchoServer("127.168.10.10");
  const port = String(echo.endpoint.port);
  const [block = ""] = blocks("sh gateway");
  await using producer = new Machine({ ...env, CLIENT_SECRET: GATEWAY.secret });
  await using consumer = new Machine({ ...env, CLIENT_SECRET: OTHER.secret });
  await producer.serve(block);
  await consumer.serve(
    block.replaceAll(GATEWAY.id, OTHER.id).replace(/--wan-ip \S+/, "").replaceAll(
      "127.168.10.11",
      "127.168.30.10",
    ),
  );
  assertEquals(oauth.createdScopes.length, 2);

  await using user = new Machine(env);
  using alice = new User(ALICE);
  alice.configure(blocks("toml")[0] ?? "");
  Deno.copyFileSync(`${producer.path}/server.crt`, `${alice.configFolder}/producer.crt`);
  Deno.copyFileSync(`${consumer.path}/server.crt`, `${alice.configFolder}/consumer.crt`);
  const lines = (blocks("sh user")[0] ?? "").replace("5001", port).trim().split("\n");
  // The stream is looked at while it is there.
  const connected = lines.findIndex((line) => line.startsWith("s2uc connect")) + 1;
  assert(connected > 0 && connected < lines.length);
  const before = await work(alice, user, lines.slice(0, connected).join("\n"), codeOf);
  assertEquals(
    before["s2uc check-auth"]?.match(/: accepts it, as alice@uchicago\.edu$/gm)?.length,
    2,
  );
  const [, listener = ""] =
    /^listeners: "(127\.168\.30\.10:\d+)"$/m.exec(before["s2uc connect"] ?? "") ?? [];
  assertEquals(await echoes(listener), true);

  await hello(alice, user);
  const after = await work(alice, user, lines.slice(connected).join("\n"), codeOf);
  assertEquals(after["s2uc list"]?.match(/ streaming .* alice@uchicago\.edu$/gm)?.length, 4);
  assertEquals(await echoes(listener), false);
  assertEquals(alice.saved(), {});
});

/** The application's lines, each for a session of its own. */
async function hello(alice: User, user: Machine): Promise<void> {
  for (const line of (blocks("sh application")[0] ?? "").trim().split("\n")) {
    const request = new Running(
      ["sh", "-c", "exec s2uc prod-req --s2cs 127.168.10.11:5007"],
      { cwd: user.path, env: { ...user.env, ...alice.env } },
    );
    const [, session = "", token = ""] = await request.line(/\n(\S+) \S+ (\S+) PROD\n/);
    Deno.copyFileSync(`${alice.configFolder}/producer.crt`, `${user.path}/server.crt`);
    const ended = assertOk(await user.run(line, { SESSION: session, TOKEN: token }));
    assertEquals(ended.out, "Sending Prod listeners...\n");
    assertOk(await request.ended);
  }
}

async function ownProvider(oauth: OAuthServer, head: string): Promise<void> {
  const moved = { "https://idp.example.org": oauth.url };
  await using gateway = new Machine({ CLIENT_SECRET: "idp-s3cret" });
  const [, first = ""] = blocks("sh gateway", moved);
  const certificate = first.split("\n").find((line) => line.startsWith("scistream cert")) ?? "";
  await gateway.serve(
    head === "jwt" ? `${certificate}\n${blocks("sh gateway jwt", moved)[0]}` : first,
  );
  await using user = new Machine({});
  using alice = new User(ALICE);
  alice.configure(blocks("toml", moved)[1] ?? "");
  Deno.copyFileSync(`${gateway.path}/server.crt`, `${alice.configFolder}/producer.crt`);
  const said = await work(alice, user, blocks("sh user", moved)[1] ?? "", ({ url }) => url);
  assertMatch(
    said["s2uc check-auth"] ?? "",
    /127\.168\.10\.11:5007: accepts it, as alice@uchicago\.edu\n$/,
  );
  assertEquals(alice.saved(), {});
}

const OWN = {
  servers: [{
    id: "gateway",
    secret: "idp-s3cret",
    scope: "scistream",
    resource: "https://gateway.example.org",
  }],
  users: { [ALICE]: { groups: ["beamline-7"] } },
};

Deno.test("docs/authentication.md: with a provider of one's own, which is asked", async () => {
  await using oauth = await plain(OWN);
  await ownProvider(oauth, "introspection");
  assert(oauth.count(oauth.paths.introspection) > 0);
});

Deno.test("docs/authentication.md: with a provider of one's own, whose tokens are JWTs", async () => {
  await using oauth = await plain({ ...OWN, jwt: true });
  await ownProvider(oauth, "jwt");
  assertEquals(oauth.count(oauth.paths.introspection), 0);
});

Deno.test("docs/authentication.md: every block is run", () => {
  const heads = [...PAGE.matchAll(/^```(\w.*)$/gm)].map(([, head]) => head).sort();
  assertEquals(heads, [
    "sh application",
    "sh gateway",
    "sh gateway",
    "sh gateway jwt",
    "sh user",
    "sh user",
    "toml",
    "toml",
  ]);
});
