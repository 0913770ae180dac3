// Hostile requests to control servers with real proxies: refused with the right code, and nothing
// comes of them, in no file, no process and no line of the log.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import type { UnaryMethod } from "../lib/protocol/codec.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { echoes, EchoServer } from "./echo.ts";
import { assertOk, eventually, Gateway, leftOutIf, run } from "./harness.ts";
import { HOSTILE, NO_ADDRESSES, SCOPED } from "./hostile.ts";
import { pidsBelow } from "./pair.ts";

/** The lines of s2cs's log, whatever is in them. */
const LINE = /^\d{4}-\d\d-\d\dT[0-9:.]+Z (DEBUG|INFO|WARN|ERROR) +\S/;

const { ignore, because } = leftOutIf(await whyNoProxies());

for (const type of ["HaproxySubprocess", "StunnelSubprocess"]) {
  Deno.test({
    name: `${type}: hostile uids and addresses are refused, and leave nothing${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using gateway = await Gateway.start(`--type=${type}`, "--verbose");
      const client = new ControlClient({
        address: Endpoint.parse(gateway.address),
        roots: Deno.readFileSync(gateway.cert),
      });
      const refused = async (
        code: string,
        method: UnaryMethod,
        request: Record<string, unknown>,
      ) => {
        // What is taken by mistake may wait for more.
        const error = await client.call(method, request, { deadlineMs: 20_000 })
          .then(() => undefined, (error) => error);
        const what = `${method} ${JSON.stringify(request).slice(0, 120)}`;
        assert(error instanceof ScistreamError, `${what}: ${error}`);
        assertEquals([error.code, error.status], [code, 3], `${what}: ${error.message}`);
        assert(!error.message.includes("\n") && error.message.length < 400, error.message);
      };
      try {
        for (const uid of HOSTILE.filter(isNoUid)) {
          await refused("INVALID_UID", "req", { uid, role: "PROD", num_conn: 1 });
          await refused("INVALID_UID", "hello", { uid, role: "PROD", prod_listeners: ["a:1"] });
          await refused("INVALID_UID", "update", { uid, role: "PROD", remote_listeners: ["a:1"] });
          await refused("INVALID_UID", "release", { uid });
          await refused("INVALID_UID", "status", { uid });
        }
        assertEquals(await filesOf(gateway), []);
        assertEquals(await pidsBelow(gateway.stateDir), []);

        const uid = Uid.random().reveal();
        const good = String(echo.endpoint);
        const requested = client.call("req", { uid, role: "PROD", num_conn: 2 });
        for (const bad of NO_ADDRESSES) {
          await refused("BAD_FORMAT", "hello", { uid, role: "PROD", prod_listeners: [good, bad] });
        }
        await client.call("hello", { uid, role: "PROD", prod_listeners: [good] });
        const { listeners } = await requested;
        const before = await filesOf(gateway);
        // HAProxy's master listens before its worker is there.
        const pids = await eventually("the proxy is whole", async () => {
          const found = await pidsBelow(gateway.stateDir);
          return found.length >= (type === "HaproxySubprocess" ? 2 : 1) ? found : undefined;
        }) as number[];
        for (const bad of [...NO_ADDRESSES, ...SCOPED]) {
          for (const remote_listeners of [[bad], [good, bad]]) {
            await refused("BAD_FORMAT", "update", { uid, role: "PROD", remote_listeners });
          }
        }
        assertEquals(await filesOf(gateway), before, "no configuration has changed");
        const others = (await pidsBelow(gateway.stateDir)).filter((pid) => !pids.includes(pid));
        assertEquals(others, [], "no proxy has been started again");
        await client.call("update", { uid, role: "PROD", remote_listeners: [good] });
        // stunnel's listeners are for stunnel alone.
        if (type === "HaproxySubprocess") {
          for (const listener of listeners) assert(await echoes(listener));
        }
        await client.call("release", { uid });
        assertEquals(await filesOf(gateway), []);
        assertEquals(await pidsBelow(gateway.stateDir), []);
      } finally {
        client.close();
      }
      const { err } = await gateway.process.stop();
      assert(!/SERVER_ERR|unhandled|internal/i.test(err), err);
      for (const line of err.trimEnd().split("\n")) assertMatch(line, LINE);
    },
  });
}

function isNoUid(text: string): boolean {
  return !/^[0-9A-Za-z_-]{8,64}$/.test(text);
}

/** The files of all sessions, with what is in those that configure something. */
async function filesOf({ stateDir }: Gateway): Promise<string[]> {
  const { out } = assertOk(await run(["find", stateDir, "-path", "*/sessions/*"]));
  return out.split("\n").filter(Boolean).sort().map((path) =>
    /\.(cfg|conf|key|pem)$/.test(path) ? `${path}: ${Deno.readTextFileSync(path)}` : path
  );
}

async function whyNoProxies(): Promise<string | undefined> {
  for (const command of [["haproxy", "-v"], ["stunnel", "-version"]]) {
    try {
      await run(command);
    } catch {
      return `not installed: ${command[0]}`;
    }
  }
}
