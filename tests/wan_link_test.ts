/**
 * The tutorial's hosts with a link between the gateways as a WAN has it: 50 ms there and back, and
 * one packet in a hundred is lost; and what somebody sees who watches that link.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  assertCut,
  assertWhole,
  FOR_EVER,
  MARKER,
  type Outcome,
  type Steps,
  wanModes,
} from "./flows.ts";
import { assertOk, eventually, leftOutIf, run, type Running, SCISTREAM } from "./harness.ts";
import { type Host, Network, onNetwork, PREFIX, unavailable, USER } from "./topology.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const FLOWS = [
  ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only"],
  ...["--config", `${ROOT}deno.json`, "--allow-net", "--allow-read", "--allow-env"],
  `${ROOT}tests/flows.ts`,
];
const WAN = ["192.168.20.10", "192.168.20.11"] as const;
const PRODUCER = "192.168.10.10";
const HANG_MS = 120_000;
const NETEM = "netem delay 25ms loss 1%";

/** The link of a kernel without netem: a device at either end, and what is sent into one comes out of the other. */
const LINK = `
import collections, ctypes, fcntl, os, random, select, struct, sys, time

def device(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/run/netns/" + namespace) as file:
        if libc.setns(file.fileno(), 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"wan", 0x1001))  # IFF_TUN | IFF_NO_PI
    return fd

ends = [device(name) for name in sys.argv[1:]]
coming = {end: collections.deque() for end in ends}
print("up", flush=True)
while True:
    due = min((queue[0][0] for queue in coming.values() if queue), default=None)
    wait = None if due is None else max(0, due - time.monotonic())
    for end in select.select(ends, [], [], wait)[0]:
        packet = os.read(end, 65536)
        if random.random() >= 0.01:
            coming[ends[1 - ends.index(end)]].append((time.monotonic() + 0.025, packet))
    for end, queue in coming.items():
        while queue and queue[0][0] <= time.monotonic():
            try:
                os.write(end, queue.popleft()[1])
            except OSError:
                pass  # This end is not up yet.
`;

const noNetwork = unavailable();

/** Whether this kernel has netem; a reason where there is nothing in its place either. */
async function linkKind(): Promise<{ netem: boolean; reason?: string }> {
  if (noNetwork) return { netem: false, reason: noNetwork };
  const probe = `${PREFIX}-netem`;
  const ip = (...words: string[]) => run(["ip", ...words]);
  assertOk(await ip("netns", "add", probe));
  try {
    // Whether the kernel has it is the same for each device: the loopback one is there already.
    const tc = ["tc", "qdisc", "add", "dev", "lo", "root", ...NETEM.split(" ")];
    const added = await ip("netns", "exec", probe, ...tc);
    if (added.code === 0) return { netem: true };
    const python = ["netns", "exec", probe, "python3", "-c", "open('/dev/net/tun', 'r+b', 0)"];
    const instead = await ip(...python).catch((error) => ({ code: 127, err: String(error) }));
    if (instead.code === 0) return { netem: false };
    const why = `${added.err} ${instead.err}`.trim().replaceAll(/\s+/g, " ");
    return { netem: false, reason: `no netem, and no TUN in its place: ${why}` };
  } finally {
    await ip("netns", "delete", probe);
  }
}

const { netem, reason } = await linkKind();
if (reason && Deno.env.get("CI") === "true") throw new Error(reason);
const MODES = await wanModes();

/** Makes the link between the gateways slow and lossy. */
async function spoil({ producers2, consumers2 }: Network): Promise<void> {
  if (netem) {
    for (const host of [producers2, consumers2]) {
      // Else what is lost is not a packet but dozens of them that travel as one.
      assertOk(await host.run("ip link set dev wan gso_max_segs 1"));
      assertOk(await host.run(`tc qdisc add dev wan root ${NETEM}`));
    }
    return;
  }
  assertOk(await producers2.run("ip link delete dev wan"));
  const link = producers2.start(
    ["python3", "-u", "-c", LINK, producers2.namespace, consumers2.namespace],
  );
  await link.line(/^up$/m);
  for (const [host, address] of [[producers2, WAN[0]], [consumers2, WAN[1]]] as const) {
    assertOk(await host.run("ip link set dev wan addrgenmode none"));
    assertOk(await host.run(`ip address add ${address}/24 dev wan`));
    assertOk(await host.run("ip link set dev wan up"));
  }
}

/** Starts both gateways and an application of steps, and connects four channels to it. */
async function start(network: Network, flags: string[]) {
  const { producer, producers2, consumers2, consumer } = network;
  const user = network.host("user");
  const gateway = async (host: Host, ip: string, ...more: string[]) => {
    assertOk(await host.run([...SCISTREAM, "cert", "--ip", ip]));
    const words = ["s2cs", "--type=S2DS", "--port=5007", `--listener-ip=${ip}`, ...flags, ...more];
    await host.start(words).line(/Secure gRPC Server started on /);
    user.copy(host, "server.crt", `${host.name}.crt`);
  };
  const server = producer.start([...FLOWS, "serve", `${PRODUCER}:5001`]);
  await Promise.all([
    gateway(producers2, "192.168.10.11", `--wan-ip=${WAN[0]}`),
    gateway(consumers2, "192.168.30.10"),
    server.line(/^serving$/m),
  ]);
  const { out } = assertOk(
    await user.run(
      "s2uc connect --prod-s2cs 192.168.10.11:5007 --cons-s2cs 192.168.30.10:5007 --json " +
        `--remote_ip ${PRODUCER} --receiver_ports 5001 --num_conn 4 ` +
        "--server-cert producers2.crt --cons-server-cert consumers2.crt",
    ),
  );
  const { uid, listeners }: { uid: string; listeners: string[] } = JSON.parse(out);
  assertEquals(listeners.length, 4);
  let seen = 0;
  /** Does the steps over these channels; answers the outcomes of both ends. */
  const talk = async (channels: string[], mine: Steps, theirs: Steps) => {
    const client = assertOk(await consumer.run([...FLOWS, "call", channels.join(), mine, theirs]));
    const first = seen;
    seen += channels.length;
    await server.line(new RegExp(`(?:\\{.*\\}\\n[^]*?){${seen}}`));
    return { client: outcomes(client.out), server: outcomes(server.out).slice(first) };
  };
  const whole = async (channels: string[], mine: Steps, theirs: Steps) => {
    const { client, server } = await talk(channels, mine, theirs);
    assertWhole(client, server);
    return client;
  };
  return { uid, listeners, talk, whole };
}

function outcomes(out: string): Outcome[] {
  return out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

/** A test on a network of its own, once for each kind of encryption. */
function wanTest(
  name: string,
  leftOut: string | undefined,
  test: (network: Network, mode: string, flags: string[]) => Promise<void>,
): void {
  const { ignore, because } = leftOutIf(leftOut);
  for (const { mode, flags } of MODES) {
    Deno.test({
      name: `WAN link, ${mode}: ${name}${because}`,
      ignore,
      fn: () => onNetwork(USER, HANG_MS, (network) => test(network, mode, flags)),
    });
  }
}

const slow = netem ? "netem" : "a link of the test's own";
wanTest(
  `50 ms and 1% loss (${slow}): every byte arrives, half-close and RST too`,
  reason,
  async (network, _mode, flags) => {
    await spoil(network);
    const { listeners, talk, whole } = await start(network, flags);
    const both = await whole(listeners, "both:2097152 fin read", "both:2097152 fin read");
    assertEquals(both.map(({ gotBytes }) => gotBytes), Array(4).fill(2 << 20));
    const { out } = assertOk(await network.producers2.run("cat /proc/net/snmp"));
    const [names = [], counts = []] = out.split("\n").filter((line) => line.startsWith("Tcp: "))
      .map((line) => line.split(" "));
    const again = Number(counts[names.indexOf("RetransSegs")]);
    assert(again > 0, "nothing was lost on the link");

    const one = listeners.slice(0, 1);
    await whole(one, "send:1000 fin read", "read send:1048576 fin");
    await whole(one, "read send:1048576 fin", "send:1000 fin read");

    // Nobody sends a lost RST again, but each packet that comes afterwards is answered with another:
    // so whoever is to learn of it is sending.
    const cut = "read:100000 reset";
    assertCut((await talk(one, cut, FOR_EVER)).server[0] as Outcome, "from the client");
    assertCut((await talk(one, FOR_EVER, cut)).client[0] as Outcome, "from the server");
  },
);

/** Everything that crosses the link between the gateways, in a file. */
async function record({ producers2 }: Network) {
  const file = `${producers2.folder}/recording.pcap`;
  const flags = ["-Z", "root", "-U", "--immediate-mode", "-B", "131072", "-s", "0"];
  const tcpdump: Running = producers2.start(["tcpdump", ...flags, "-i", "wan", "-w", file]);
  await tcpdump.line(/listening on/, "err");
  /** Ends it, once it has a last packet: nothing before that is still on its way. */
  return async (): Promise<Buffer> => {
    const last = `last-packet-${crypto.randomUUID()}`;
    assertOk(await producers2.run(["bash", "-c", `echo ${last} > /dev/udp/${WAN[1]}/9`]));
    await eventually("the last packet", () => Buffer.from(Deno.readFileSync(file)).includes(last));
    const { err } = await tcpdump.stop("SIGINT");
    assertMatch(err, /^0 packets dropped by kernel/m);
    return Buffer.from(Deno.readFileSync(file));
  };
}

wanTest(
  "whoever watches it sees no payload and no uid where it is encrypted",
  noNetwork,
  async (network, mode, flags) => {
    const stop = await record(network);
    const { uid, listeners, whole } = await start(network, flags);
    // Each way, and as the first and the last bytes of a stream, too.
    await whole(listeners, "fill:5000 fin read", "read fill:5000 fin");
    await whole(listeners, "fill:1 read:64 fin read", "read:64 fill:1 read fin");
    const seen = await stop();
    assert(seen.length > 2 * 4 * 5000 * MARKER.length, `only ${seen.length} bytes were recorded`);
    const shown = (text: string | Buffer) => seen.includes(text);
    const clear = mode === "plain";
    assertEquals(shown(MARKER), clear, "the payload in clear");
    assertEquals(shown(MARKER.slice(8, 24)), clear, "a part of the payload in clear");
    const bare = uid.replaceAll("-", "");
    for (const text of [uid, bare, bare.toUpperCase(), Buffer.from(bare, "hex")]) {
      assert(!shown(text), `the uid in clear: ${text}`);
    }
  },
);
