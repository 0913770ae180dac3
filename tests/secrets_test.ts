/**
 * Where a uid, what is derived of it, a token and a client's secret could be seen by somebody else:
 * process lists, environments, logs, metrics, the audit log, files.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { channelSecret, derive } from "../lib/s2ds/forwarder/secret.ts";
import { echoes, EchoServer } from "./echo.ts";
import { eventually, freePort, Gateway } from "./harness.ts";
import { call, calling, GATEWAY, globus, refusal } from "./oauth/gateway.ts";

/** Everything that nobody else may see, by name. */
function secretsOf(uid: Uid, token: string): Map<string, string> {
  const channel = channelSecret(uid.reveal());
  const bare = uid.reveal().replaceAll("-", "");
  return new Map([
    ["uid", uid.reveal()],
    ["uid without dashes, stunnel's key", bare],
    ["uid in base64", Uint8Array.fromHex(bare).toBase64()],
    ["channel secret", channel.toHex()],
    ["channel secret in base64", channel.toBase64()],
    ["authority's seed", derive(channel, "certificate authority").toHex()],
    ["token", token],
    ["client secret", GATEWAY.secret],
    ["client secret in HTTP Basic", btoa(`${GATEWAY.id}:${GATEWAY.secret}`)],
  ]);
}

/** The names of the secrets in a text, in any case of letters. */
function shown(text: string, secrets: Map<string, string>): string[] {
  const lower = text.toLowerCase();
  return [...secrets].filter(([, secret]) => lower.includes(secret.toLowerCase())).map(([name]) =>
    name
  );
}

/** Looks at every process of this machine again and again, those that live for a moment too. */
class Watch {
  /** Command lines and environments, by process and what it is. */
  readonly seen = new Map<string, { name: string; args: string; env: string }>();
  #over = false;
  readonly #looking: Promise<void>;

  constructor() {
    this.#looking = this.#look();
  }

  async #look(): Promise<void> {
    while (!this.#over) {
      for (const { name } of Deno.readDirSync("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        try {
          const [args, env] = ["cmdline", "environ"].map((file) =>
            Deno.readTextFileSync(`/proc/${name}/${file}`).replaceAll("\0", "\n")
          ) as [string, string];
          this.seen.set(`${name} ${args}`, { name, args, env });
        } catch {
          // It has ended.
        }
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  async end(): Promise<void> {
    this.#over = true;
    await this.#looking;
  }
}

/** Every file below a folder, with the bits that let others in on the way to it. */
function files(folder: string, open = true): { path: string; open: boolean }[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory, isFile }) => {
    const path = `${folder}/${name}`;
    const others = open && ((Deno.lstatSync(path).mode ?? 0) & 0o077) !== 0;
    if (isDirectory) return files(path, others);
    return isFile ? [{ path, open: others }] : [];
  });
}

/** Where each type keeps the uid: it is needed there after a restart. */
const KEEPS: Record<string, RegExp> = {
  S2DS: /\/sessions\.db(-wal|-shm)?$/,
  HaproxySubprocess: /\/sessions\.db(-wal|-shm)?$|\/sessions\/[0-9a-f]{16}\.record$/,
  StunnelSubprocess:
    /\/sessions\.db(-wal|-shm)?$|\/sessions\/[0-9a-f]{16}(\.record|\/stunnel\.key)$/,
};

for (const [type, keeps] of Object.entries(KEEPS)) {
  Deno.test(`${type}: no uid, token or client secret where another user of the machine could see it`, async () => {
    await using oauth = await globus();
    await using echo = new EchoServer();
    await using gateway = await Gateway.start("--type=Mock");
    await gateway.process.stop();
    const http = `127.0.0.1:${freePort()}`;
    gateway.env = { SCISTREAM_CLIENT_SECRET: GATEWAY.secret };
    const watch = new Watch();
    await gateway.launch(
      0,
      `--type=${type}`,
      "--verbose",
      `--http=${http}`,
      `--globus-url=${oauth.url}`,
      `--client-id=${GATEWAY.id}`,
      "--admin=user:alice@anl.gov",
    );
    const token = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
    const uid = Uid.random();
    const secrets = secretsOf(uid, token);

    // What encrypts does not pass an echo for a gateway, and says so: nor may that tell the secret.
    assertEquals(await stream(gateway, token, uid, echo), type === "HaproxySubprocess");
    // What goes wrong is told too: a slip in a uid, somebody else's token, a target that is not there.
    await refusal(call(gateway, token, "status", { uid: `${uid.reveal()}x` }));
    await refusal(call(gateway, token, "release", { uid: `${uid.reveal()} ` }));
    await refusal(call(gateway, `${token}x`, "release", { uid: uid.reveal() }));
    await refusal(call(gateway, token, "req", { uid: uid.reveal(), role: "PROD", num_conn: 1 }));
    const pid = gateway.dataServers()[0];
    if (pid !== undefined) {
      // Another is started and given everything.
      Deno.kill(pid, "SIGKILL");
      await gateway.process.line(/the data server is back/, "err");
    }
    const kept = files(gateway.folder.path).filter(({ path }) =>
      shown(latin1(path), secrets).length > 0
    );
    const authorization = { headers: { authorization: `Bearer ${token}` } };
    const metrics = await (await fetch(`http://${http}/metrics`, authorization)).text();
    const pages = await eventually("the dashboard shows the session", async () => {
      const page = await (await fetch(`http://${http}/`, authorization)).text();
      return page.includes(uid.session) ? page : "";
    });
    await call(gateway, token, "release", { uid: uid.reveal() });
    const { out, err } = await gateway.process.stop();
    await watch.end();

    assertMatch(metrics, /^scistream_calls_total\{method="req",outcome="OK"\} 1$/m);
    assertMatch(err, new RegExp(`session ${uid.session}`));
    const audit = Deno.readTextFileSync(gateway.audit);
    assert(audit.includes(uid.session));
    for (const [what, text] of Object.entries({ out, err, metrics, pages, audit })) {
      assertEquals(shown(text, secrets), [], `${what}: ${text}`);
    }
    const own = String(gateway.process.child.pid);
    // That the search finds what is there.
    assertEquals(
      [...watch.seen.values()].filter(({ name, env }) =>
        name === own && shown(env, secrets).length > 0
      ).length,
      1,
    );
    assert(watch.seen.size > 5);
    // A child is its parent's copy for the moment until it becomes another program.
    const self = [...watch.seen.values()].find(({ name }) => name === own)?.args;
    for (const { args, env } of watch.seen.values()) {
      assertEquals(shown(args, secrets), [], args);
      if (args !== self) assertEquals(shown(env, secrets), [], `${args}: ${env}`);
    }
    assert(kept.length > 0);
    for (const { path, open } of kept) {
      assertMatch(path, keeps);
      assertEquals(open, false, `${path} can be read by others`);
    }
    // Nothing is left of it, but for what the audit log tells.
    assertEquals(
      files(gateway.folder.path).filter(({ path }) => shown(latin1(path), secrets).length > 0),
      [],
    );
  });
}

/** A file as text, whatever is in it. */
function latin1(path: string): string {
  return new TextDecoder("latin1").decode(Deno.readFileSync(path));
}

/** A consumer's session; answers whether its bytes come back. */
async function stream(
  gateway: Gateway,
  token: string,
  uid: Uid,
  echo: EchoServer,
): Promise<boolean> {
  const at = { uid: uid.reveal(), role: "CONS" };
  return await calling(gateway, token, async (client) => {
    const [{ listeners }] = await Promise.all([
      client.call("req", { ...at, num_conn: 1 }),
      client.call("hello", at),
    ]);
    await client.call("update", { ...at, remote_listeners: [String(echo.endpoint)] });
    const came = await echoes(listeners[0] as string).catch(() => false);
    await client.call("status", at);
    return came;
  });
}
