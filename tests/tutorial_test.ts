/**
 * The tutorial's four hosts with data on them, and its steps in other orders. The page itself is run
 * by docs_test.ts.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { assertOk, type Ended, leftOutIf, run, type Running } from "./harness.ts";
import {
  Capture,
  type Host,
  type Link,
  namespaces,
  Network,
  onNetwork,
  PREFIX,
  unavailable,
  USER,
} from "./topology.ts";

const UID = "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3";
const PROD_S2CS = "192.168.10.11:5007";
const CONS_S2CS = "192.168.30.10:5007";
const WAN: [string, string] = ["192.168.20.10", "192.168.20.11"];
const FILE_APP = [
  Deno.execPath(),
  "run",
  ...["--allow-net", "--allow-read", "--allow-write"],
  new URL("tutorial_file.ts", import.meta.url).pathname,
];
/** A test that waits for something that never comes ends after this, with what its processes said. */
const HANG_MS = 120_000;

const { ignore, because } = leftOutIf(unavailable());

/**
 * A test on a network of its own. The link between the gateways is watched meanwhile, and nothing
 * may run on any host at the end.
 */
function networkTest(name: string, test: (network: Network) => Promise<void>, links?: Link[]) {
  Deno.test({
    name: `tutorial: ${name}${because}`,
    ignore,
    fn: () =>
      onNetwork(links, HANG_MS, async (network) => {
        const capture = await Capture.start(network.producers2, "wan", WAN);
        await test(network);
        assertEquals(await capture.stop(), [], "only the gateways may use the link between them");
        assertEquals(await network.processes(), []);
      }),
  });
}

/** As the tutorial makes them. */
async function makeCertificate(host: Host, ip: string): Promise<void> {
  assertOk(await host.run("openssl genrsa -out server.key 2048"));
  Deno.writeTextFileSync(
    `${host.folder}/server.conf`,
    `[req]
distinguished_name = req_distinguished_name
x509_extensions = v3_req
prompt = no

[req_distinguished_name]
CN = ${ip}

[v3_req]
subjectAltName = IP:${ip}
`,
  );
  assertOk(await host.run("openssl req -new -key server.key -out server.csr -config server.conf"));
  assertOk(
    await host.run(
      "openssl x509 -req -days 365 -in server.csr -signkey server.key -out server.crt -extfile server.conf -extensions v3_req",
    ),
  );
}

/** Makes a gateway's certificate and starts its control server. */
async function startGateway(host: Host, ip: string, flags = ""): Promise<Running> {
  await makeCertificate(host, ip);
  const s2cs = host.start(`s2cs --verbose --port=5007 --listener-ip=${ip} --type=S2DS ${flags}`);
  await s2cs.line(new RegExp(`^Secure gRPC Server started on ${ip}:5007$`, "m"));
  return s2cs;
}

/** Both gateways, and what each application's host needs of them: its own gateway's certificate. */
async function startGateways(network: Network, prodFlags = "") {
  const [prod, cons] = await Promise.all([
    startGateway(network.producers2, "192.168.10.11", prodFlags),
    startGateway(network.consumers2, "192.168.30.10"),
  ]);
  network.producer.copy(network.producers2, "server.crt");
  network.consumer.copy(network.consumers2, "server.crt");
  return {
    prod,
    cons,
    async stop() {
      assertOk(await prod.stop());
      assertOk(await cons.stop());
    },
  };
}

/** Matches once the text was said `times` times. */
function times(times: number, text: string): RegExp {
  return new RegExp(`(?:${text}[^]*?){${times}}`);
}

/** What prod-req and cons-req print. */
function requestOutput(s2cs: string, role: string, listeners: string[], prodListeners: string[]) {
  return [
    "uid; s2cs; access_token; role",
    `${UID} ${s2cs} INVALID_TOKEN ${role}`,
    "waiting for hello message",
    "started client request",
    ...listeners.map((each) => `listeners: "${each}"`),
    ...prodListeners.map((each) => `prod_listeners: "${each}"`),
    "",
    "Sending updated connection map information...",
    UID,
    "",
  ].join("\n");
}

/** The listeners that a request printed. */
function listenersOf({ out }: Ended): string[] {
  return [...out.matchAll(/^listeners: "(\S+)"$/gm)].map((match) => match[1] as string);
}

/** `host:port` of each, as the other gateway reaches them. */
function overWan(listeners: string[]): string {
  return listeners.map((each) => each.replace("192.168.10.11", "192.168.20.10")).join();
}

function ports(from: number, host: string, count = 5): string[] {
  return Array.from({ length: count }, (_, i) => `${host}:${from + i}`);
}

interface Status {
  channels: { listener: string; bytes_to_target: number; bytes_from_target: number }[];
}

/** A session's listeners and bytes, channel by channel, as `s2uc check-status` tells them. */
async function channels(host: Host, s2cs: string, uid: string) {
  const { out } = assertOk(await host.run(`s2uc check-status ${uid} --s2cs ${s2cs} --json`));
  const status: Status = JSON.parse(out);
  return {
    listeners: status.channels.map((channel) => channel.listener),
    forward: status.channels.map((channel) => channel.bytes_to_target),
    back: status.channels.map((channel) => channel.bytes_from_target),
  };
}

const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);

/** Bytes that iperf3 -J says its receiving end got. */
function received(ended: Ended): number {
  return JSON.parse(assertOk(ended).out).end.sum_received.bytes;
}

/** Whether a TCP connection can be made from here. */
async function reaches(host: Host, ip: string, port: number): Promise<boolean> {
  return (await host.run(["bash", "-c", `exec 3<>/dev/tcp/${ip}/${port}`])).code === 0;
}

async function release(host: Host, s2cs: string, uid: string): Promise<void> {
  assertEquals(
    assertOk(await host.run(`s2uc release ${uid} --s2cs ${s2cs}`)).out,
    "Release completed\n",
  );
}

networkTest("its commands in its order, then with the real listeners", async (network) => {
  const { producer, producers2, consumers2, consumer } = network;

  const prodS2cs = await startGateway(producers2, "192.168.10.11");
  producer.copy(producers2, "server.crt");
  const prodReq = producer.start(`s2uc prod-req --s2cs ${PROD_S2CS} --mock True`);
  await prodS2cs.line(/reserved → waiting/, "err");
  const mock = await producer.run(
    `appctrl mock ${UID} ${PROD_S2CS} INVALID_TOKEN PROD 192.168.10.10`,
  );
  assertEquals(assertOk(mock).out, "Sending Prod listeners...\n");
  const mockPorts = [5074, 5075, 5076, 37000, 47000];
  assertEquals(
    assertOk(await prodReq.ended).out,
    requestOutput(
      PROD_S2CS,
      "PROD",
      ports(5100, "192.168.10.11"),
      mockPorts.map((port) => `192.168.10.10:${port}`),
    ),
  );

  const consS2cs = await startGateway(consumers2, "192.168.30.10");
  consumer.copy(consumers2, "server.crt");
  // The second terminal is faster than the first: its hello waits.
  const early = consumer.start(
    `appctrl mock ${UID} ${CONS_S2CS} INVALID_TOKEN PROD 192.168.20.10`,
  );
  await consS2cs.line(/hello is early/, "err");
  const consReq = await consumer.run(
    `s2uc cons-req --s2cs ${CONS_S2CS} ${UID} 192.168.20.10:5074`,
  );
  assertEquals(
    assertOk(consReq).out,
    requestOutput(CONS_S2CS, "CONS", ports(5100, "192.168.30.10"), []),
  );
  assertEquals(assertOk(await early.ended).out, "Sending Prod listeners...\n");
  await release(producer, PROD_S2CS, UID);
  await release(consumer, CONS_S2CS, UID);

  // The same uid and ports again, the other order of the terminals, and an application that is there.
  const iperf = producer.start("iperf -s -p 5001");
  await iperf.line(/Server listening on TCP port 5001/);
  const prodEarly = producer.start(
    `appctrl mock ${UID} ${PROD_S2CS} INVALID_TOKEN PROD 192.168.10.10 --ports 5001`,
  );
  await prodS2cs.line(/hello is early/, "err");
  const prodAgain = assertOk(
    await producer.run(`s2uc prod-req --s2cs ${PROD_S2CS} --mock True`),
  );
  assertEquals(
    prodAgain.out,
    requestOutput(PROD_S2CS, "PROD", ports(5100, "192.168.10.11"), ["192.168.10.10:5001"]),
  );
  assertOk(await prodEarly.ended);
  const consAgain = consumer.start(
    `s2uc cons-req --s2cs ${CONS_S2CS} ${UID} ${overWan(listenersOf(prodAgain))}`,
  );
  await consS2cs.line(times(2, "reserved → waiting"), "err");
  assertOk(
    await consumer.run(`appctrl mock ${UID} ${CONS_S2CS} INVALID_TOKEN PROD 192.168.20.10`),
  );
  const listeners = listenersOf(assertOk(await consAgain.ended));
  assertEquals(listeners, ports(5100, "192.168.30.10"));

  for (const listener of listeners) {
    const [host, port] = listener.split(":");
    const client = assertOk(await consumer.run(`iperf -c ${host} -p ${port} -n 4M -y C`));
    assert(Number(client.out.split(",")[7]) > 0, client.out);
  }
  // Each end of the server's tests: everything has crossed both gateways.
  await iperf.line(times(5, "4\\.00 MBytes"));
  const sent = await channels(consumer, CONS_S2CS, UID);
  const arrived = await channels(producer, PROD_S2CS, UID);
  assertEquals(sent.forward, arrived.forward);
  for (const channel of arrived.forward) assert(channel >= 4 << 20, `${arrived.forward}`);
  for (const [host, s2cs] of [[producer, PROD_S2CS], [consumer, CONS_S2CS]] as const) {
    const { out } = assertOk(await host.run(`s2uc check-status ${UID} --s2cs ${s2cs}`));
    assertMatch(out, /: streaming, (PROD|CONS), S2DS, /);
    assertMatch(out, times(5, "connections \\d open, 1 total  4\\.19 MB( \\(.*\\))? to target"));
  }

  await release(producer, PROD_S2CS, UID);
  await release(consumer, CONS_S2CS, UID);
  for (const [host, s2cs] of [[producer, PROD_S2CS], [consumer, CONS_S2CS]] as const) {
    assertEquals(assertOk(await host.run(`s2uc list --s2cs ${s2cs}`)).out, "no sessions\n");
  }
  await iperf.stop();
  assertOk(await prodS2cs.stop());
  assertOk(await consS2cs.stop());
});

networkTest("no host sees past its gateway", async (network) => {
  const { producer, producers2, consumers2, consumer } = network;
  const iperf = consumer.start("iperf -s -p 5001");
  await iperf.line(/Server listening on TCP port 5001/);
  assert(await reaches(consumers2, "192.168.30.11", 5001), "the consumer listens");
  assert(!await reaches(producer, "192.168.30.11", 5001), "the producer reaches the consumer");
  assert(!await reaches(producers2, "192.168.30.11", 5001), "its gateway reaches the consumer");
  for (const host of network.hosts) {
    assertEquals((await host.run("cat /proc/sys/net/ipv4/ip_forward")).out, "0\n");
    assertEquals((await host.run("ip route show default")).out, "");
  }
  // With routes the packet gets as far as the gateway; the capture would see it leave on the other
  // side. Refused connections first, so that every neighbour is known and nothing is still queued.
  assert(!await reaches(producer, "192.168.10.11", 1));
  assert(!await reaches(producers2, "192.168.20.11", 1));
  assertOk(await producer.run("ip route add 192.168.30.0/24 via 192.168.10.11"));
  assertOk(await producers2.run("ip route add 192.168.30.0/24 via 192.168.20.11"));
  assertOk(await producer.run(["bash", "-c", "echo > /dev/udp/192.168.30.11/9"]));
  await iperf.stop();
});

networkTest("iperf3 both ways through inbound- and outbound-request", async (network) => {
  const { producer, consumer } = network;
  const gateways = await startGateways(network);
  const iperf3 = producer.start("iperf3 -s -p 5201");
  await producer.listening(5201);
  const inbound = assertOk(
    await producer.run(
      `s2uc inbound-request --s2cs ${PROD_S2CS} --remote_ip 192.168.10.10 --receiver_ports 5201`,
    ),
  );
  assertMatch(inbound.out, /\nHello message sent successfully\n[^]*\nListeners: \['192[^]*'\]\n$/);
  const uid = inbound.out.split("\n")[1]?.split(" ")[0] as string;
  const outbound = assertOk(
    await consumer.run(
      `s2uc outbound_request --s2cs ${CONS_S2CS} --num_conn 2 ${uid} ${
        overWan(listenersOf(inbound))
      }`,
    ),
  );
  assertEquals(listenersOf(outbound), ports(5100, "192.168.30.10", 2));

  const client = "iperf3 -J -c 192.168.30.10 -n 16M -p";
  // iperf3's server hangs up when the client says that it is done, whatever is still under way: so
  // only what it says it got must have crossed.
  const there = received(await consumer.run(`${client} 5100`));
  const back = received(await consumer.run(`${client} 5101 -R`));
  assert(there > 0 && back > 0, `${there} ${back}`);
  for (const [host, s2cs] of [[producer, PROD_S2CS], [consumer, CONS_S2CS]] as const) {
    const crossed = await channels(host, s2cs, uid);
    assert((crossed.forward[0] ?? 0) >= there, `${crossed.forward} of ${there}`);
    assert((crossed.back[1] ?? 0) >= back, `${crossed.back} of ${back}`);
    assert(
      (crossed.back[0] ?? 0) < there,
      `${crossed.back} is not what ${there} went the other way`,
    );
  }

  await release(producer, PROD_S2CS, uid);
  await release(consumer, CONS_S2CS, uid);
  await iperf3.stop();
  await gateways.stop();
});

networkTest("appctrl create-appctrl runs iperf3 at both ends", async (network) => {
  const { producer, consumer } = network;
  const gateways = await startGateways(network);
  const prodReq = producer.start(`s2uc prod-req --s2cs ${PROD_S2CS} --mock True`);
  const server = producer.start(
    `appctrl create-appctrl ${UID} ${PROD_S2CS} INVALID_TOKEN PROD 192.168.10.10`,
  );
  const prod = assertOk(await prodReq.ended);
  assertMatch(prod.out, /prod_listeners: "192.168.10.10:7000"/);
  await producer.listening(7000);
  const consReq = consumer.start(
    `s2uc cons-req --s2cs ${CONS_S2CS} ${UID} ${overWan(listenersOf(prod))}`,
  );
  const client = await consumer.run(
    `appctrl create-appctrl ${UID} ${CONS_S2CS} INVALID_TOKEN CONS 192.168.30.11`,
  );
  assertOk(await consReq.ended);
  assertMatch(assertOk(client).out, /Connecting to host 192\.168\.30\.10, port 5100/);
  const total = /\s(\d+\.?\d*) [KMGT]?Bytes .*receiver$/m.exec(client.out);
  assert(Number(total?.[1]) > 0, client.out);
  const { forward } = await channels(producer, PROD_S2CS, UID);
  assert((forward[0] ?? 0) > 0, `${forward}`);
  assertEquals(sum(forward.slice(1)), 0);

  // iperf3's server ends with 1 when it is told to stop.
  assertEquals((await server.stop()).code, 1);
  await release(producer, PROD_S2CS, UID);
  await release(consumer, CONS_S2CS, UID);
  await gateways.stop();
});

networkTest("1 GiB over five channels arrives as it was", async (network) => {
  const { producer, consumers2, consumer } = network;
  const gateways = await startGateways(network);
  const size = 2 ** 30;
  const key = "-K 00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000";
  const random = `head -c ${size} /dev/zero | openssl enc -aes-128-ctr -nosalt ${key} > sent`;
  assertOk(await producer.run(["bash", "-o", "pipefail", "-c", random]));
  const numbers = [6001, 6002, 6003, 6004, 6005];
  const serving = producer.start([...FILE_APP, "serve", "sent", ...numbers.map(String)]);
  await serving.line(/serving/);

  const inbound = assertOk(
    await producer.run(
      `s2uc inbound-request --s2cs ${PROD_S2CS} --remote_ip 192.168.10.10 ` +
        `--receiver_ports ${numbers} --mock True`,
    ),
  );
  const outbound = assertOk(
    await consumer.run(
      `s2uc outbound-request --s2cs ${CONS_S2CS} ${UID} ${overWan(listenersOf(inbound))}`,
    ),
  );
  assertOk(
    await consumer.run([...FILE_APP, "fetch", "got", String(size), ...listenersOf(outbound)]),
  );
  assertOk(await serving.ended);

  const [sent, got] = await Promise.all([
    producer.run("sha256sum sent"),
    consumer.run("sha256sum got"),
  ]);
  const differ = await run(["cmp", `${producer.folder}/sent`, `${consumer.folder}/got`]);
  assertEquals(assertOk(got).out.split(" ")[0], assertOk(sent).out.split(" ")[0], differ.out);
  const { back } = await channels(consumer, CONS_S2CS, UID);
  assertEquals(sum(back), size);
  assert(back.every((each) => each > 0), `${back}`);
  const counter = "/sys/class/net/wan/statistics/rx_bytes";
  assert(Number((await consumers2.run(`cat ${counter}`)).out) > size, "it took another way");

  await release(producer, PROD_S2CS, UID);
  await release(consumer, CONS_S2CS, UID);
  await gateways.stop();
});

for (const told of ["--prod-wan-ip", "--wan-ip"] as const) {
  networkTest(`s2uc connect sets both sides up, the WAN address from ${told}`, async (network) => {
    const { producer, producers2, consumers2, consumer } = network;
    const user = network.host("user");
    const wanIp = told === "--wan-ip";
    const gateways = await startGateways(network, wanIp ? "--wan-ip 192.168.20.10" : "");
    user.copy(producers2, "server.crt", "producers.crt");
    user.copy(consumers2, "server.crt", "consumers.crt");
    const iperf3 = producer.start("iperf3 -s -p 5201");
    const iperf = producer.start("iperf -s -p 5001");
    await producer.listening(5201);
    await iperf.line(/Server listening on TCP port 5001/);

    const connect = assertOk(
      await user.run(
        `s2uc connect --prod-s2cs ${PROD_S2CS} --cons-s2cs ${CONS_S2CS} ${
          wanIp ? "" : "--prod-wan-ip 192.168.20.10"
        } --remote_ip 192.168.10.10 --receiver_ports 5201,5001 ` +
          "--server-cert producers.crt --cons-server-cert consumers.crt",
      ),
    );
    const [uid = ""] = connect.out.split("\n");
    assertMatch(uid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assertEquals(listenersOf(connect), ports(5100, "192.168.30.10", 2));

    const there = received(await consumer.run("iperf3 -J -c 192.168.30.10 -p 5100 -n 16M"));
    assert(there > 0);
    const client = assertOk(await consumer.run("iperf -c 192.168.30.10 -p 5101 -n 4M -y C"));
    assert(Number(client.out.split(",")[7]) > 0, client.out);
    await iperf.line(/4\.00 MBytes/);
    const prod = await channels(producer, PROD_S2CS, uid);
    const cons = await channels(consumer, CONS_S2CS, uid);
    for (const { forward } of [prod, cons]) {
      assert((forward[0] ?? 0) >= there, `${forward} of ${there}`);
      assertEquals(forward[1], 4 << 20);
    }
    assertEquals(prod.listeners, ports(5100, wanIp ? "192.168.20.10" : "192.168.10.11", 2));
    // With --wan-ip the producer's listeners are for the WAN alone.
    assertEquals(await reaches(producer, "192.168.10.11", 5100), !wanIp);

    Deno.writeTextFileSync(
      `${user.folder}/server.crt`,
      Deno.readTextFileSync(`${user.folder}/producers.crt`) +
        Deno.readTextFileSync(`${user.folder}/consumers.crt`),
    );
    const released = await user.run(
      `s2uc release ${uid} --s2cs ${PROD_S2CS} --s2cs ${CONS_S2CS}`,
    );
    assertEquals(assertOk(released).out, "Release completed\n");
    await iperf3.stop();
    await iperf.stop();
    await gateways.stop();
  }, [...USER]);
}

networkTest("appctrl run at both ends: exit codes and signals", async (network) => {
  const { producer, consumer } = network;
  const gateways = await startGateways(network);
  const prodReq = producer.start(`s2uc prod-req --s2cs ${PROD_S2CS} --mock True`);
  // It finds the address of its host by itself.
  const server = producer.start(
    `appctrl run ${UID} ${PROD_S2CS} INVALID_TOKEN PROD --listen 5201 -- iperf3 -s -1 -p 5201`,
  );
  const prod = assertOk(await prodReq.ended);
  assertMatch(prod.out, /^prod_listeners: "192\.168\.10\.10:5201"$/m);
  await producer.listening(5201);

  const consReq = consumer.start(
    `s2uc cons-req --s2cs ${CONS_S2CS} ${UID} ${overWan(listenersOf(prod))}`,
  );
  const run = `appctrl run ${UID} ${CONS_S2CS} INVALID_TOKEN CONS --`;
  const client = await consumer.run(`${run} iperf3 -c {host} -p {port} -n 10M -J`);
  assert(received(client) > 0);
  assertOk(await consReq.ended);
  assertOk(await server.ended);

  const words = run.split(" ");
  const listed = await consumer.run([...words, "sh", "-c", "echo $SCISTREAM_LISTENERS; exit 7"]);
  assertEquals(listed.code, 7);
  assertEquals(listed.out, `${ports(5100, "192.168.30.10")}\n`);
  assertEquals((await consumer.run(`${run} no-such-program`)).code, 127);

  const trap = "trap 'echo told to stop; kill $!; exit 3' TERM; tail -f /dev/null & echo up; wait";
  const trapping = consumer.start([...words, "sh", "-c", trap]);
  await trapping.line(/^up$/m);
  const stopped = await trapping.stop("SIGTERM");
  assertEquals(stopped.code, 3);
  assertEquals(stopped.out, "up\ntold to stop\n");
  const plain = consumer.start([...words, "sh", "-c", "echo up; exec tail -f /dev/null"]);
  await plain.line(/^up$/m);
  assertEquals((await plain.stop("SIGTERM")).code, 128 + 15);

  await release(producer, PROD_S2CS, UID);
  await release(consumer, CONS_S2CS, UID);
  await gateways.stop();
});

Deno.test({
  name: `tutorial: whoever uses the link between the gateways unasked is seen${because}`,
  ignore,
  async fn() {
    await using network = await Network.create();
    const { producers2, consumers2 } = network;
    const capture = await Capture.start(producers2, "wan", WAN);
    const stranger = "192.168.20.12";
    assertOk(await consumers2.run(`ip address add ${stranger}/24 dev wan`));
    assert(!await reaches(producers2, WAN[1], 1));
    assert(!await reaches(producers2, stranger, 1));
    const seen = await capture.stop();
    assert(seen.length > 0 && seen.every((line) => line.includes(stranger)), seen.join("\n"));
  },
});

Deno.test({
  name: `tutorial: a network that cannot be set up leaves nothing${because}`,
  ignore,
  async fn() {
    const broken: Link = [["user", "lan", "192.168.10.12/24"], ["producer", "lan", "10.0.0.1/8"]];
    // The producer has an interface of this name.
    await assertRejects(() => Network.create([broken]), Error, "ip link add");
    assertEquals(await namespaces(), []);
    assertEquals(await folders(), []);
  },
});

/** Folders of this process's networks. */
async function folders(): Promise<string[]> {
  const probe = Deno.makeTempDirSync();
  Deno.removeSync(probe);
  const all = await Array.fromAsync(Deno.readDir(probe.slice(0, probe.lastIndexOf("/"))));
  return all.map(({ name }) => name).filter((name) => name.startsWith(`${PREFIX}-`));
}
