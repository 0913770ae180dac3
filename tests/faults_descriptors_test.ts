/**
 * Few file descriptors, and many who connect: nobody is lost for good, and after they are gone
 * everybody is served.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, echoes, EchoServer } from "./echo.ts";
import { soon } from "./faults.ts";
import { eventually, Gateway, processes } from "./harness.ts";
import { call, session } from "./oauth/gateway.ts";

const FEW = ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'];
const MANY = 120;

/** A gateway whose processes may have 64 descriptors each. */
async function cramped(...flags: string[]): Promise<Gateway> {
  const gateway = await Gateway.prepare();
  gateway.prefix = FEW;
  await gateway.launch(0, "--wan=plain", ...flags);
  return gateway;
}

/** Whoever has nothing else to do: connected, as far as the system goes. */
async function idlers(address: string): Promise<Deno.TcpConn[]> {
  const all = await Promise.allSettled(Array.from({ length: MANY }, () => dial(address)));
  return all.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
}

/** What many do to a control server at once, and then stop doing. */
const CROWDS: Record<string, (gateway: Gateway) => Promise<void>> = {
  async "idle connections"({ address }) {
    for (const conn of await idlers(address)) conn.close();
  },
  async "TLS handshakes"({ address, cert }) {
    const [hostname, port] = address.split(":") as [string, string];
    const caCerts = [Deno.readTextFileSync(cert)];
    const shakes = Array.from({ length: MANY }, async () => {
      using conn = await Deno.connectTls({ hostname, port: Number(port), caCerts });
      const late = setTimeout(() => conn.close(), 3_000);
      await conn.handshake().catch(() => {});
      clearTimeout(late);
    });
    await Promise.allSettled(shakes);
  },
  async "parallel calls"(gateway) {
    const calls = Array.from({ length: MANY }, () => call(gateway, undefined, "list"));
    await soon("each call comes to an end", Promise.allSettled(calls));
  },
};

for (const [what, crowd] of Object.entries(CROWDS)) {
  Deno.test(`s2cs with 64 file descriptors and ${MANY} ${what}: served afterwards, and its stream goes on`, async () => {
    await using echo = new EchoServer();
    await using gateway = await cramped("--workers=1");
    const at = await session(gateway, undefined, Uid.random().reveal(), {
      app: String(echo.endpoint),
    });
    for (const _round of [1, 2]) {
      await crowd(gateway);
      assert(await echoes(at), "what streams does not notice");
      const { pid } = gateway.process.child;
      assert(processes().some((each) => each.pid === pid), gateway.process.err);
      const list = () => soon("list", call(gateway, undefined, "list"), 2_000);
      const found = await eventually(
        "a good client is answered",
        () => list().catch(() => undefined),
      );
      assertEquals(found?.sessions.map(({ state }) => state), ["streaming"]);
    }
    const { code, err } = await gateway.process.stop();
    assertEquals(code, 0, err);
  });
}

Deno.test("a data server with 64 file descriptors: what does not fit is refused, and served later", async () => {
  await using echo = new EchoServer();
  await using gateway = await cramped("--workers=1");
  const uid = Uid.random().reveal();
  const at = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  for (const _round of [1, 2]) {
    const crowd = await idlers(at);
    const { channels } = await call(gateway, undefined, "status", { uid });
    const open = channels[0]?.connections_open ?? 0;
    assert(open > 0 && open < MANY, `${open} connections are open`);
    for (const conn of crowd) conn.close();
    await eventually("it serves again", () => echoes(at));
  }
});
