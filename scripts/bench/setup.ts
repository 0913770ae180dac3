/**
 * How long a session's set-up takes, ours and the C-core library's, at either end.
 * @module
 */
import { ControlClient } from "../../lib/protocol/client.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import {
  releaseSession,
  requestSession,
  sayHello,
  updateSession,
} from "../../lib/s2uc/requests.ts";
import { freePortRanges, Gateway } from "../demo/gateways.ts";
import { atMost } from "./goals.ts";
import { Process, run } from "./process.ts";
import { type Context, percentile, type Result } from "./result.ts";

const REFERENCE_MS = 2.6;
const WARM_UP = 50;
const SESSIONS = 100;
const ROUNDS = 5;
const PYTHON = "/usr/bin/python3";
const PEER = new URL("peer.py", import.meta.url).pathname;
const RECEIVERS = [5074, 5075, 5076, 37000, 47000].map((port) => new Endpoint("127.0.0.1", port));

/** req + hello + update, one session after another. */
export async function sessionSetup(
  { folder, signal, tell, rounds = ROUNDS }: Context,
): Promise<Result> {
  await using stack = new AsyncDisposableStack();
  const [ports] = freePortRanges(1, 32) as [string];
  const gateway = await Gateway.start({
    name: "setup",
    folder,
    ports,
    flags: ["--type=Mock", "--call-rate=0"],
    signal,
    onDeath: () => {},
  });
  stack.defer(async () => void await gateway.stop());
  const cert = `${folder}/setup.crt`;
  const server = stack.use(
    new Process([PYTHON, PEER, "serve", cert, `${folder}/setup.key`], signal),
  );
  const address = Endpoint.parse((await server.line(/listening on (\S+)/))[1] ?? "");
  const client = new ControlClient({ address, roots: await Deno.readFile(cert) });
  stack.defer(() => client.close());

  const ways: { name: string; drive: (count: number) => Promise<number[]>; samples: number[] }[] = [
    { name: "our client, our server", drive: (n) => drive(gateway.client, n, signal), samples: [] },
    { name: "our client, Python server", drive: (n) => drive(client, n, signal), samples: [] },
    {
      name: "Python client, our server",
      drive: (n) => driveByPython(gateway.client.address, cert, n, signal),
      samples: [],
    },
    {
      name: "Python client, Python server",
      drive: (n) => driveByPython(address, cert, n, signal),
      samples: [],
    },
  ];
  for (let round = 1; round <= rounds; round++) {
    for (const way of ways) {
      tell(`session set-up, round ${round} of ${rounds}: ${way.name}`);
      // The first calls of a connection, and of a process, are not what is asked for.
      way.samples.push(...(await way.drive(WARM_UP + SESSIONS)).slice(WARM_UP));
    }
  }
  const medians = ways.map(({ samples }) => percentile(samples, 50));
  // The ways stand in pairs: our server, and the Python server with the same client.
  const ratio = (i: number) =>
    i % 2 === 0 ? `${((medians[i] ?? NaN) / (medians[i + 1] ?? NaN)).toFixed(2)}×` : "";
  return {
    name: "setup",
    title:
      `Session set-up, req + hello + update over TLS, type Mock, ${rounds} × ${SESSIONS} sessions`,
    columns: ["", "p50 ms", "p99 ms", "p50 of Python's"],
    rows: ways.map(({ name, samples }, i) => [
      name,
      medians[i] ?? NaN,
      percentile(samples, 99),
      ratio(i),
    ]),
    goals: [
      // What the Python reference needs when the machine is quiet. The Python server in the table
      // only keeps the books: no ports, no data server, no validation.
      atMost("session set-up, p50 (the Python reference's)", medians[0], REFERENCE_MS, "ms"),
    ],
  };
}

async function drive(client: ControlClient, count: number, signal: AbortSignal): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const uid = Uid.random();
    const start = performance.now();
    await setUp(client, uid, signal);
    samples.push(performance.now() - start);
    await releaseSession(client, uid, { signal });
  }
  return samples;
}

async function setUp(client: ControlClient, uid: Uid, signal: AbortSignal): Promise<void> {
  const pending = requestSession(client, { uid, role: "PROD", numConn: 5, rate: 0 }, signal);
  await Promise.all([pending, sayHello(client, uid, "PROD", RECEIVERS, { signal })]);
  await updateSession(client, uid, "PROD", RECEIVERS.map(String), signal);
}

async function driveByPython(
  address: Endpoint,
  cert: string,
  count: number,
  signal: AbortSignal,
): Promise<number[]> {
  return JSON.parse(await run([PYTHON, PEER, "drive", `${address}`, cert, `${count}`], signal));
}
