/**
 * From the shell to the first byte.
 * @module
 */
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import { releaseSession } from "../../lib/s2uc/requests.ts";
import { freePortRanges, Gateway, SCISTREAM } from "../demo/gateways.ts";
import { atMost } from "./goals.ts";
import { Process } from "./process.ts";
import { type Context, median, percentile, type Result } from "./result.ts";

const ROUNDS = 10;
const GOAL_MS = 500;

/** `s2uc connect` started, its listener connected to, a byte of the producer's read. */
export async function connectToFirstByte(
  { folder, signal, tell, rounds = ROUNDS }: Context,
): Promise<Result> {
  await using stack = new AsyncDisposableStack();
  const ranges = freePortRanges(2, 16);
  const gateways: Gateway[] = [];
  stack.defer(async () => void await Promise.all(gateways.map((each) => each.stop())));
  for (const name of ["near", "far"]) {
    gateways.push(
      await Gateway.start({
        name,
        folder,
        ports: ranges[gateways.length] as string,
        signal,
        onDeath: () => {},
      }),
    );
  }
  const [prod, cons] = gateways as [Gateway, Gateway];
  const producer = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  stack.defer(() => producer.close());
  const serving = (async () => {
    for await (const conn of producer) {
      await conn.write(new Uint8Array(1));
      conn.close();
    }
  })();
  serving.catch(() => {});

  const total: number[] = [];
  const command: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    tell(`s2uc connect to first byte, round ${round} of ${rounds}`);
    const start = performance.now();
    await using process = new Process([
      Deno.execPath(),
      ...SCISTREAM,
      "s2uc",
      "connect",
      "--json",
      `--prod-s2cs=${prod.client.address}`,
      `--cons-s2cs=${cons.client.address}`,
      `--server-cert=${folder}/near.crt`,
      `--cons-server-cert=${folder}/far.crt`,
      "--remote-ip=127.0.0.1",
      `--receiver-ports=${producer.addr.port}`,
    ], signal);
    const { uid, listeners } = JSON.parse((await process.line(/^\{.*\}$/))[0]);
    const connected = performance.now();
    const { host: hostname, port } = Endpoint.parse(listeners[0]);
    using conn = await Deno.connect({ hostname, port });
    await conn.read(new Uint8Array(1));
    const end = performance.now();
    for (const { client } of gateways) {
      await releaseSession(client, Uid.parse(uid), { force: true, signal });
    }
    await process.output();
    // The first one warms the caches of the file system.
    if (round === 0) continue;
    total.push(end - start);
    command.push(connected - start);
  }
  const ms = median(total);
  return {
    name: "connect",
    title: `s2uc connect from the shell to the first byte at the consumer, ${rounds} rounds`,
    columns: ["", "median ms", "worst ms"],
    rows: [
      ["to the listeners being printed", median(command), percentile(command, 100)],
      ["to the first byte", ms, percentile(total, 100)],
    ],
    goals: [atMost("s2uc connect from the shell to the first byte", ms, GOAL_MS, "ms")],
  };
}
