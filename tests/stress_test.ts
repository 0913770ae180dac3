import { assert, assertEquals } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { dial, EchoServer } from "./echo.ts";
import { assertOk, eventually, Gateway, Running, scistream } from "./harness.ts";

const descriptors = (pid: number) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;

function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Number(kb) / 1024;
}

/** A thousand callers have one address here. */
const CROWD = [
  ...["--call-rate=0", "--max-pending-per-caller=0", "--max-streams=2000"],
  ...["--max-connections=2000", "--max-connections-per-address=2000"],
];

const open = (gateway: Gateway) =>
  new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });

const inboundFlags = (
  echo: EchoServer,
) => ["--num_conn=1", "--remote_ip=127.0.0.1", `--receiver_ports=${echo.endpoint.port}`];

Deno.test("2,000 clients that connect, call and vanish leave nothing", async () => {
  await using gateway = await Gateway.start(
    "--type=mock",
    "--port-range=28000-32000",
    "--max-sessions=2000",
    ...CROWD,
  );
  const { pid } = gateway.process.child;
  const watcher = open(gateway);
  await watcher.call("list", {});
  const before = descriptors(pid);
  for (const round of [1, 2]) {
    const crowd = [0, 1, 2, 3].map((i) =>
      new Running([
        Deno.execPath(),
        "run",
        ...["--allow-net", "--allow-read", "--allow-env"],
        "--quiet",
        new URL("./vanishing_clients.ts", import.meta.url).pathname,
        gateway.address,
        gateway.cert,
        "250",
        `crowd-${round}-${i}`,
      ])
    );
    await Promise.all(crowd.map((each) => each.line(/all pending/)));
    assertEquals((await watcher.call("list", {})).sessions.length, 1000);
    await Promise.all(crowd.map((each) => each.stop("SIGKILL")));
    await eventually(
      "every session is gone",
      async () => (await watcher.call("list", {})).sessions.length === 0,
    );
    await eventually("every connection is gone", () => descriptors(pid) <= before);
  }
  watcher.close();
});

Deno.test("1,000 sessions pending at once all complete, each with its own answer", async () => {
  await using gateway = await Gateway.start("--type=mock", "--port-range=28000-32000", ...CROWD);
  const client = open(gateway);
  const uids = Array.from({ length: 1000 }, (_, i) => `pending-${i}`);
  const pending = uids.map((uid) =>
    client.call("req", { uid, role: "PROD", num_conn: 2, rate: 0 })
  );
  await eventually("all are pending", async () => {
    const { sessions } = await client.call("list", {});
    return sessions.length === 1000 && sessions.every((each) => each.state === "waiting");
  });
  const refused = await client.call("req", {
    uid: "one-too-many",
    role: "PROD",
    num_conn: 1,
    rate: 0,
  }).catch((error) => error);
  assertEquals(refused.code, "NO_RESOURCE");
  await Promise.all(
    uids.map((uid, i) =>
      client.call("hello", { uid, role: "PROD", prod_listeners: [`app-${i}:7000`] })
    ),
  );
  const answers = await Promise.all(pending);
  answers.forEach((answer, i) => assertEquals(answer.prod_listeners, [`app-${i}:7000`]));
  assertEquals(new Set(answers.flatMap((answer) => answer.listeners)).size, 2000);
  await Promise.all(
    uids.map((uid) => client.call("update", { uid, role: "PROD", remote_listeners: ["t:1"] })),
  );
  assert(residentMb(gateway.process.child.pid) < 400, "memory is bounded");
  await Promise.all(uids.map((uid) => client.call("release", { uid })));
  assertEquals((await client.call("list", {})).sessions, []);
  client.close();
});

Deno.test("fast writers and readers that do not read: the data server's memory stays bounded", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  await using echo = new EchoServer();
  const listener = /^listeners: "(.*)"$/m.exec(
    assertOk(await scistream(["s2uc", "inbound-request", ...gateway.flags, ...inboundFlags(echo)]))
      .out,
  )?.[1] as string;
  const pids = gateway.dataServers();
  const sum = (of: (pid: number) => number) => pids.reduce((all, pid) => all + of(pid), 0);
  const before = { mb: sum(residentMb), fds: sum(descriptors) };
  const CONNECTIONS = 8;
  // More than the kernel's buffers of three hops take, which grow to 32 MiB each here.
  const EACH = 256 << 20;
  const conns = await Promise.all(Array.from({ length: CONNECTIONS }, () => dial(listener)));
  // Each writer writes until the echo, which waits for its reader, takes no more.
  const chunk = new Uint8Array(1 << 20).fill(7);
  const taken = conns.map(() => 0);
  const writing = conns.map(async (conn, i) => {
    for (let total = 0; total < EACH;) {
      const n = await conn.write(chunk.subarray(0, EACH - total));
      total += n;
      taken[i] = total;
    }
  });
  let last = -1;
  await eventually("the writers are held back", async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const now = taken.reduce((sum, each) => sum + each, 0);
    const still = now === last;
    last = now;
    return still;
  });
  assert(last < CONNECTIONS * EACH, "back-pressure reaches the writers");
  const grown = sum(residentMb) - before.mb;
  // Two directions with two buffers of at most 1 MiB each, and what V8 has not yet collected.
  assert(
    grown < CONNECTIONS * 4 + 64,
    `grew by ${grown.toFixed(0)} MB with ${CONNECTIONS} connections`,
  );
  // The readers wake up: every byte still arrives.
  await Promise.all(conns.map(async (conn) => {
    const part = new Uint8Array(1 << 20);
    for (let got = 0; got < EACH;) {
      const n = await conn.read(part.subarray(0, EACH - got));
      assert(n !== null && part[0] === 7 && part[n - 1] === 7, `EOF or another byte after ${got}`);
      got += n;
    }
  }));
  await Promise.all(writing);
  for (const conn of conns) conn.close();
  await eventually("its descriptors are back", () => sum(descriptors) <= before.fds);
});
