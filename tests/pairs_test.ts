/**
 * Every data server type with every other that it can work with, on the tutorial's hosts: both
 * gateways run one control server a type, and a Docker Engine each.
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TYPE_NAMES } from "../lib/s2ds/types.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { assertOk, eventually, leftOutIf, type Running, SCISTREAM, tempFolder } from "./harness.ts";
import { Capture, type Host, Network, unavailable, USER } from "./topology.ts";

// Janus runs HAProxy.
const TYPES = TYPE_NAMES.filter((type) => type !== "Mock" && type !== "Janus");
/** They encrypt between the gateways, and so understand only each other. */
const STUNNELS = TYPES.filter((type) => type.startsWith("Stunnel"));
const PLAIN = TYPES.filter((type) => !STUNNELS.includes(type));
const NGINXES = TYPES.filter((type) => type.startsWith("Nginx"));
/**
 * Debian 12's stunnel (5.68) may take a hangup for the end although there is more to read, when the
 * other direction was closed before, and then ends the stream early.
 */
const HASTY = TYPES.filter((type) => /^Stunnel/.test(type));

const WAN: [string, string] = ["192.168.20.10", "192.168.20.11"];
const PRODUCER = "192.168.10.10";
/** The producer's applications: one sends back what comes, the other says its SHA-256 at its end. */
const ECHO_PORT = 5001;
const HASH_PORT = 5002;
/** Only pairs that must not work lead there. */
const SECRET_PORT = 5003;
/** With this a half-closed connection goes on until its other half is closed too. */
const SOCAT = "socat -t 60";

/** Bytes that every stream carries, beside a text of its own. */
const SIZE = 4 << 20;
/** Streams at once: container engines let the processors wait. */
const AT_ONCE = 4;
/** A test that waits for something that never comes ends after this, with what its processes said. */
const HANG_MS = 120_000;

const { ignore, because } = leftOutIf(unavailable() ?? whyNoEngine());

/** The types at a stream's two gateways. */
interface Pair {
  prod: string;
  cons: string;
}

/** A stream that is set up. */
interface Stream {
  uid: string;
  pair: Pair;
  /** Where the consumer's application connects. */
  listeners: string[];
}

/** A gateway with all its control servers. */
class Gateway {
  readonly servers = new Map<string, Running>();

  constructor(
    readonly host: Host,
    readonly ip: string,
    readonly engine: Engine,
    readonly stateDir: string,
  ) {}

  /** Makes its certificate, gives its engine the images, and starts a control server of each type. */
  async start(flags: (type: string) => string): Promise<void> {
    await Promise.all([
      this.host.run([...SCISTREAM, "cert", "--ip", this.ip]).then(assertOk),
      this.engine.images(),
    ]);
    Deno.mkdirSync(this.stateDir);
    await Promise.all(TYPES.map(async (type) => {
      const range = `${firstPort(type)}-${firstPort(type) + 99}`;
      const server = this.host.start(
        `s2cs --type=${type} --listener-ip=${this.ip} --port=${controlPort(type)} ` +
          `--port-range=${range} --docker-socket=${this.engine.socket} ` +
          `--state-dir=${this.stateDir} ${flags(type)}`,
      );
      await server.line(/^Secure gRPC Server started on /m);
      this.servers.set(type, server);
    }));
  }

  address(type: string): string {
    return `${this.ip}:${controlPort(type)}`;
  }

  /** What its sessions have here: files, containers, listeners. */
  async left(): Promise<string[]> {
    const sessions = this.host.run(["find", this.stateDir, "-path", "*/sessions/*"]);
    const sockets = assertOk(await this.host.run("ss -Hltun")).out.split("\n").filter(Boolean);
    return [
      ...assertOk(await sessions).out.split("\n").filter(Boolean),
      ...await this.engine.containers(),
      ...sockets.filter((line) => !TYPES.some((type) => line.includes(` ${this.address(type)} `))),
    ].map((each) => `${this.host.name}: ${each}`);
  }
}

/** Each type's control server has a port of its own, */
function controlPort(type: string): number {
  return 5011 + TYPES.indexOf(type);
}

/** and ports for its listeners. */
function firstPort(type: string): number {
  return 6000 + 100 * TYPES.indexOf(type);
}

/** The hosts, and what runs there for all these tests. */
class Facilities implements AsyncDisposable {
  /** What every stream carries. */
  readonly random = new Uint8Array(SIZE);

  private constructor(
    readonly network: Network,
    readonly prod: Gateway,
    readonly cons: Gateway,
    readonly capture: Capture,
    readonly applications: Running[],
    readonly stack: AsyncDisposableStack,
  ) {
    const most = 1 << 16;
    for (let at = 0; at < SIZE; at += most) {
      crypto.getRandomValues(this.random.subarray(at, at + most));
    }
  }

  static async start(): Promise<Facilities> {
    await using stack = new AsyncDisposableStack();
    const network = stack.use(await Network.create(USER));
    const { producer, producers2, consumers2 } = network;
    // Paths of sockets are short, and the network's folder is long.
    const state = stack.use(tempFolder());
    const [prodEngine, consEngine] = await Promise.all([producers2, consumers2].map(
      async ({ namespace }) => stack.use(await Engine.start({ namespace })),
    )) as [Engine, Engine];
    const prod = new Gateway(producers2, "192.168.10.11", prodEngine, `${state.path}/prod`);
    const cons = new Gateway(consumers2, "192.168.30.10", consEngine, `${state.path}/cons`);
    const listen = (port: number) => `TCP-LISTEN:${port},bind=${PRODUCER},fork,backlog=64`;
    const applications = [
      producer.start(`${SOCAT} ${listen(ECHO_PORT)} EXEC:cat`),
      producer.start(`${SOCAT} ${listen(HASH_PORT)} EXEC:sha256sum`),
      producer.start(`${SOCAT} -d -d ${listen(SECRET_PORT)} EXEC:cat`),
    ];
    const capture = await Capture.start(producers2, "wan", WAN);
    await Promise.all([
      prod.start((type) => `--wan=plain ${tellsWan(type) ? `--wan-ip=${WAN[0]}` : ""}`),
      // So that the built-in one can be paired with each.
      cons.start(() => "--wan=plain"),
      ...[ECHO_PORT, HASH_PORT, SECRET_PORT].map((port) => producer.listening(port)),
    ]);
    const user = network.host("user");
    user.copy(producers2, "server.crt", "producers.crt");
    user.copy(consumers2, "server.crt", "consumers.crt");
    const both = ["producers.crt", "consumers.crt"]
      .map((file) => Deno.readTextFileSync(`${user.folder}/${file}`)).join("");
    Deno.writeTextFileSync(`${user.folder}/server.crt`, both);
    return new Facilities(network, prod, cons, capture, applications, stack.move());
  }

  get user(): Host {
    return this.network.host("user");
  }

  /** Sets a stream up as the README does. */
  async connect(pair: Pair, ports: number[]): Promise<Stream> {
    const { prod, cons } = this.#addresses(pair);
    const wan = tellsWan(pair.prod) ? "" : `--prod-wan-ip ${WAN[0]}`;
    const { out } = assertOk(
      await this.user.run(
        `s2uc connect --prod-s2cs ${prod} --cons-s2cs ${cons} ${wan} --json ` +
          `--remote_ip ${PRODUCER} --receiver_ports ${ports} ` +
          "--server-cert producers.crt --cons-server-cert consumers.crt",
      ),
    );
    const { uid, listeners } = JSON.parse(out);
    return { uid, listeners, pair };
  }

  async release({ uid, pair }: Stream, flags = ""): Promise<void> {
    const { prod, cons } = this.#addresses(pair);
    const released = await this.user.run(
      `s2uc release ${uid} --s2cs ${prod} --s2cs ${cons} ${flags}`,
    );
    assertEquals(assertOk(released).out, "Release completed\n");
  }

  /** The last errors of a stream's channels at one of its gateways. */
  async errors({ uid, pair }: Stream, side: "prod" | "cons"): Promise<string[]> {
    const { out } = assertOk(
      await this.user.run(
        `s2uc check-status ${uid} --s2cs ${this.#addresses(pair)[side]} --json`,
      ),
    );
    const { channels }: { channels: { last_error: string }[] } = JSON.parse(out);
    return channels.map(({ last_error }) => last_error);
  }

  #addresses({ prod, cons }: Pair) {
    return { prod: this.prod.address(prod), cons: this.cons.address(cons) };
  }

  /** Sends a text of its own and some MiB over two channels, exact there and back; answers the text. */
  async exchange(pair: Pair): Promise<string> {
    const { consumer } = this.network;
    const stream = await this.connect(pair, [ECHO_PORT, HASH_PORT]);
    const [echo, hash] = stream.listeners;
    const name = `payload-of-${pair.prod}-${pair.cons}-${stream.uid}`;
    const text = new TextEncoder().encode(`${name}\n`.repeat(1_000));
    const bytes = new Uint8Array(text.length + SIZE);
    bytes.set(text);
    bytes.set(this.random, text.length);
    const path = `${consumer.folder}/${name}`;
    Deno.writeFileSync(path, bytes);
    const shell = async (command: string) =>
      assertOk(await consumer.run(["timeout", "40", "bash", "-o", "pipefail", "-c", command])).out;
    // Closed one way while the echo is under way; where that may cut it, when all of it is here.
    const early = `${SOCAT} - TCP:${echo} < ${name} | cmp - ${name}`;
    const late = `mkfifo ${name}.all && { cat ${name} ${name}.all; } | ${SOCAT} - TCP:${echo} |
      { head -c ${bytes.length}; > ${name}.all; cat; } | cmp - ${name}`;
    const echoed = [pair.prod, pair.cons].some((type) => HASTY.includes(type)) ? late : early;
    const [told] = await Promise.all([shell(`${SOCAT} - TCP:${hash} < ${name}`), shell(echoed)]);
    assertEquals(told, `${await sha256(bytes)}  -\n`, "what arrived is not what was sent");
    await this.release(stream);
    Deno.removeSync(path);
    return name;
  }

  /** What both gateways' servers of these types know and have said. */
  async said(pair: Pair): Promise<string> {
    const { prod, cons } = this.#addresses(pair);
    const { out, err } = await this.user.run(`s2uc list --s2cs ${prod} --s2cs ${cons} --json`);
    const logs = [this.prod.servers.get(pair.prod), this.cons.servers.get(pair.cons)]
      .map((server) => server?.err.trimEnd().split("\n").slice(-40).join("\n"));
    return [out + err, ...logs].join("\n---\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
  }
}

/** Half of the producer's servers tell the address in the WAN themselves, `s2uc` tells the others'. */
function tellsWan(type: string): boolean {
  return TYPES.indexOf(type) % 2 === 0;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Everything that is sent on some ports of the link between the gateways, in a file. */
class Recording {
  private constructor(
    readonly host: Host,
    readonly file: string,
    readonly tcpdump: Running,
  ) {}

  static async start(host: Host, types: readonly string[]): Promise<Recording> {
    const file = `${host.folder}/recording.pcap`;
    const ports = types.map((type) => `tcp portrange ${firstPort(type)}-${firstPort(type) + 99}`);
    const filter = [...ports, "udp port 9"].join(" or ");
    // Not in immediate mode: there each packet takes a place for the longest one, and 512 are there.
    const flags = ["-Z", "root", "-U", "-B", "131072", "-s", "0"];
    const tcpdump = host.start(["tcpdump", ...flags, "-i", "wan", "-w", file, filter]);
    await tcpdump.line(/listening on/, "err");
    return new Recording(host, file, tcpdump);
  }

  /** Ends it, once it has seen a last packet: nothing before that is still on its way. */
  async stop(): Promise<void> {
    const last = `last-packet-${crypto.randomUUID()}`;
    assertOk(await this.host.run(["bash", "-c", `echo ${last} > /dev/udp/${WAN[1]}/9`]));
    await eventually("the recording has the last packet", () => this.shows(last));
    const { err } = await this.tcpdump.stop("SIGINT");
    assertStringIncludes(err, "\n0 packets dropped by kernel");
  }

  async shows(text: string): Promise<boolean> {
    return (await this.host.run(["grep", "-aqF", text, this.file])).code === 0;
  }
}

let facilities: Facilities;

Deno.test.beforeAll(async () => {
  if (!ignore) facilities = await Facilities.start();
});
Deno.test.afterAll(async () => {
  await facilities?.[Symbol.asyncDispose]();
});

/** Does something with many pairs, some at once; fails with all that failed. */
async function each(
  pairs: readonly Pair[],
  work: (pair: Pair) => Promise<unknown>,
): Promise<void> {
  const queue = [...pairs];
  const failures: unknown[] = [];
  // Not as steps, of which Deno allows one at a time to open and close things.
  const worker = async () => {
    for (let pair = queue.shift(); pair; pair = queue.shift()) {
      await bounded(pair, work(pair)).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const [first, ...more] = failures;
  if (more.length > 0) throw new AggregateError(failures, `${failures.length} of ${pairs.length}`);
  if (first !== undefined) throw first;
}

/** Gives up on what hangs, and shows what the servers of a pair that fails have said. */
async function bounded(pair: Pair, work: Promise<unknown>): Promise<void> {
  const hang = Promise.withResolvers<never>();
  const timer = setTimeout(() => hang.reject(new Error("it hangs")), HANG_MS);
  try {
    await Promise.race([work, hang.promise]);
  } catch (error) {
    throw new Error(`${JSON.stringify(pair)}\n${await facilities.said(pair)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

Deno.test({
  name: `pairs: the same type at both gateways; only Stunnel hides the payload${because}`,
  ignore,
  async fn() {
    // So that the search is seen to find.
    const shown = "HaproxySubprocess";
    const recording = await Recording.start(facilities.prod.host, [...STUNNELS, shown]);
    const markers = new Map<string, string>();
    await each(
      TYPES.map((type) => ({ prod: type, cons: type })),
      async (pair) => markers.set(pair.prod, await facilities.exchange(pair)),
    );
    await recording.stop();
    for (const type of [...STUNNELS, shown]) {
      const marker = markers.get(type);
      if (marker === undefined) continue; // Its step has failed.
      assertEquals(await recording.shows(marker), type === shown, `${type} in clear`);
    }
    // They were sent over this link, and so their streams are in the recording: there and back.
    const { size } = Deno.statSync(recording.file);
    assert(size > 3 * SIZE * (STUNNELS.length + 1), `only ${size} bytes were recorded`);
  },
});

Deno.test({
  name: `pairs: every type with every other that understands it${because}`,
  ignore,
  async fn() {
    const mixed = [PLAIN, STUNNELS].flatMap((types) =>
      types.flatMap((prod) => types.map((cons) => ({ prod, cons })))
    ).filter(({ prod, cons }) => prod !== cons);
    assertEquals(mixed.length, PLAIN.length * (PLAIN.length - 1) + 2);
    await each(mixed, (pair) => facilities.exchange(pair));
  },
});

Deno.test({
  name: `pairs: Stunnel with another type forwards nothing, and its status says why${because}`,
  ignore,
  async fn() {
    const { network, applications } = facilities;
    const send = async ({ listeners }: Stream) =>
      (await network.consumer.run(["bash", "-c", `echo secret | ${SOCAT} - TCP:${listeners[0]}`]))
        .out;
    const plain = PLAIN.filter((type) => type.startsWith("Haproxy"));
    const pairs = STUNNELS.map((prod, i) => ({ prod, cons: plain[i] as string }));
    await each(pairs, async (pair) => {
      const stream = await facilities.connect(pair, [SECRET_PORT]);
      assert(!(await send(stream)).includes("secret"), "it was echoed");
      await provesNothing(stream, "prod");
      await facilities.release(stream);
    });
    // The next who comes is the first: nobody has come before.
    const open = `exec 3<>/dev/tcp/${PRODUCER}/${SECRET_PORT}`;
    assertOk(await facilities.prod.host.run(["bash", "-c", open]));
    const application = applications[2] as Running;
    await application.line(/accepting connection from/, "err");
    assertEquals(application.err.match(/accepting connection from.*/g)?.length, 1);

    // The other way round the plain gateway hands on what it cannot read; nothing that is secret.
    const other = STUNNELS.map((cons, i) => ({ prod: plain[i] as string, cons }));
    await each(other, async (pair) => {
      const stream = await facilities.connect(pair, [ECHO_PORT]);
      assertEquals(await send(stream), "");
      await provesNothing(stream, "cons");
      await facilities.release(stream);
    });
  },
});

/** Stunnel's log comes through an engine, which is not waited for. */
async function provesNothing(stream: Stream, side: "prod" | "cons"): Promise<void> {
  let errors: string[] = [];
  await eventually("an error is told", async () => {
    errors = await facilities.errors(stream, side);
    return errors[0] !== "";
  });
  assertStringIncludes(
    errors[0] as string,
    "the peer did not prove that it has this session's uid",
  );
}

Deno.test({
  name: `pairs: nginx at both gateways forwards UDP on the ports of TCP${because}`,
  ignore,
  async fn() {
    const { producer, consumer } = facilities.network;
    const pairs = NGINXES.map((type) => ({ prod: type, cons: type }));
    await each(pairs, async (pair) => {
      // An iperf3 server has one client at a time, whose control connection is TCP.
      const ports = [5201, 5202].map((port) => port + 2 * pairs.indexOf(pair));
      const servers = ports.map((port) => producer.start(`iperf3 -s -p ${port} -B ${PRODUCER}`));
      await Promise.all(ports.map((port) => producer.listening(port)));
      const stream = await facilities.connect(pair, ports);
      const [there, back] = stream.listeners.map((each) => each.split(":")) as [string[], string[]];
      const client = "iperf3 -J -u -b 40M -n 2M -c";
      const runs = await Promise.all([
        consumer.run(`${client} ${there[0]} -p ${there[1]}`),
        consumer.run(`${client} ${back[0]} -p ${back[1]} -R`),
      ]);
      for (const ran of runs) {
        const { end: { sum }, error } = JSON.parse(assertOk(ran).out);
        // A datagram may be lost on a busy machine.
        assert(sum?.packets > 100 && sum.lost_percent < 50, error ?? JSON.stringify(sum));
      }
      // Datagrams have no end that nginx could wait for.
      await facilities.release(stream, "--force");
      await Promise.all(servers.map((server) => server.stop()));
    });
  },
});

Deno.test({
  name: `pairs: after all of them nothing is left${because}`,
  ignore,
  async fn() {
    const { network, prod, cons, capture, applications } = facilities;
    assertEquals(await capture.stop(), [], "only the gateways may use the link between them");
    await Promise.all(applications.map((application) => application.stop()));
    assertEquals([...await prod.left(), ...await cons.left()], []);
    const strangers = async (known: RegExp) =>
      (await network.processes()).filter((line) => !known.test(line));
    // The engines', and the control servers with S2DS's data server.
    assertEquals(await strangers(/: (dockerd|containerd) | (s2cs|s2ds) /), []);
    const servers = [prod, cons].flatMap((gateway) => [...gateway.servers.values()]);
    assertEquals(servers.length, 2 * TYPES.length);
    for (const ended of await Promise.all(servers.map((server) => server.stop()))) assertOk(ended);
    assertEquals(await strangers(/: (dockerd|containerd) /), []);
    for (const { stateDir } of [prod, cons]) {
      const names = [...Deno.readDirSync(stateDir)].map(({ name }) => name);
      // What was done is on record for longer than it lasts.
      assertEquals(names.filter((name) => !/^audit-.*\.jsonl$/.test(name)), []);
    }
  },
});
