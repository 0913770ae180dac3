// HTTP/2 and gRPC abuse of real control servers: they live, go on answering others, and give back
// what it took. What the others' calls took is printed, and not asserted.
import { assert, assertEquals } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { eventually, freePort, Gateway, leftOutIf, run, Running } from "./harness.ts";

/** How long each group of attacks goes on at least. */
const SECONDS = 1.5;
/** And at most, where a busy machine gives it little time to reach a limit. */
const MOST_SECONDS = 30;
/** Of h2load: it takes all that there is, and is at its limit at once. */
const H2LOAD_SECONDS = 10;
/** Generous: an allocator keeps some of what was once used. */
const MOST_MB = 250;

interface Group {
  what: string;
  attacks: string[];
  /** Limits that must have kept somebody out. */
  limits?: string[];
  /** How long it goes on at most. */
  most?: number;
}

const STREAMS = ["rapid reset", "reset on unknown paths", "streams on unknown paths"];

const PLAIN: Group[] = [
  { what: "streams", attacks: [...STREAMS, "streams of no gRPC"], limits: ["spare-bytes"] },
  {
    what: "calls",
    attacks: ["calls without end", "answers unread", "zero window"],
    limits: ["call-rate", "pending-per-caller", "spare-bytes"],
  },
  {
    what: "header blocks",
    attacks: [
      "CONTINUATION without end",
      "empty CONTINUATION",
      "100,000 fields",
      "a field of 8 MB",
      "metadata over the limit",
    ],
    limits: ["spare-bytes"],
  },
  { what: "an HPACK bomb", attacks: ["HPACK bomb"], limits: ["spare-bytes"] },
  { what: "fields that are held", attacks: ["too many fields, held"], limits: ["spare-bytes"] },
  {
    what: "frames",
    attacks: [
      "SETTINGS",
      "SETTINGS, answers unread",
      "PING",
      "PING, answers unread",
      "PRIORITY",
      "unknown frames",
      "empty DATA",
    ],
  },
  {
    what: "messages",
    attacks: ["DATA of a byte", "gzip bombs", "1 GB announced", "window updates of a byte"],
    limits: ["spare-bytes"],
  },
  {
    what: "hundreds that are slow",
    attacks: [
      "requests by the byte",
      "connections without a byte",
      "half a ClientHello",
      "preface only",
    ],
    limits: ["spare-bytes", "first-call-timeout"],
  },
  {
    what: "what is no HTTP/2",
    attacks: [
      "wrong frame sizes",
      "windows that overflow",
      "garbage after the preface",
      "HTTP/1.1",
      "connections come and go",
      "an unknown path, and the end",
    ],
    limits: ["spare-bytes"],
  },
  { what: "h2load", attacks: ["h2load"], limits: ["call-rate"], most: H2LOAD_SECONDS },
];

const TLS: Group[] = [
  { what: "streams", attacks: STREAMS, limits: ["spare-bytes"] },
  {
    what: "hundreds of handshakes",
    attacks: ["half a ClientHello", "connections come and go", "connections without a byte"],
    limits: ["spare-bytes"],
  },
  // On a busy machine its handshakes take so long that no limit is reached.
  { what: "h2load", attacks: ["h2load"], most: H2LOAD_SECONDS },
];

const { ignore, because } = leftOutIf(await whyNoH2load());

for (const [kind, groups] of [["plain", PLAIN], ["TLS", TLS]] as const) {
  Deno.test({
    name: `${kind}: HTTP/2 abuse is survived, and others are answered${because}`,
    ignore,
    async fn(test) {
      const http = `127.0.0.1:${freePort()}`;
      const flags = kind === "TLS" ? [] : ["--ssl=False"];
      await using gateway = await Gateway.start(
        "--type=Mock",
        `--http=${http}`,
        "--first-call-timeout=1",
        ...flags,
      );
      using good = new GoodClient(gateway, kind === "TLS");
      for (let i = 0; i < 30; i++) await good.round();
      for (const [at, group] of groups.entries()) {
        await test.step(group.what, () => endures(gateway, good, http, group, at));
      }
      assertEquals(/(unhandled|panicked)(.*\n){1,12}/.exec(gateway.process.err)?.[0], undefined);
    },
  });
}

async function endures(
  gateway: Gateway,
  good: GoodClient,
  http: string,
  { what, attacks, limits = [], most = MOST_SECONDS }: Group,
  at: number,
): Promise<void> {
  const { pid } = gateway.process.child;
  good.forget();
  for (let i = 0; i < 10; i++) await good.round();
  const before = { ms: good.median(), mb: residentMb(pid), files: openFiles(pid) };
  const refused = await refusals(http);
  good.forget();
  const attack = startAttack(gateway, good.isSecure, attacks, at, most);
  await attack.line(/attacking/);
  const start = performance.now();
  const reached = async () => {
    const now = await refusals(http);
    return limits.every((limit) => (now.get(limit) ?? 0) > (refused.get(limit) ?? 0));
  };
  let goes = true;
  attack.ended.finally(() => goes = false);
  while (goes && (performance.now() - start < SECONDS * 1000 || !await reached())) {
    await good.round();
  }
  const ratio = good.median() / before.ms;
  const { code, out, err } = await attack.stop();
  assertEquals(code, 0, err);
  await eventually("its descriptors are back", () => openFiles(pid) <= before.files + 2);
  for (let i = 0; i < 20; i++) await good.round();
  const mb = residentMb(pid);
  const now = await refusals(http);
  const counted = [...now].filter(([limit, count]) => count > (refused.get(limit) ?? 0));
  console.log(
    `${what}: good calls took ${ratio.toFixed(1)} times as long; memory ${before.mb.toFixed(0)} → ${
      mb.toFixed(0)
    } MB; ${counted.map(([limit]) => limit).join(", ") || "no limit needed"}; ${
      out.split("\n")[1]
    }`,
  );
  for (const limit of limits) {
    assert(counted.some(([name]) => name === limit), `${limit} kept nobody out`);
  }
  assert(mb < before.mb + MOST_MB, `memory went from ${before.mb} to ${mb} MB`);
}

/** Somebody honest, who has sessions all the time. */
class GoodClient implements Disposable {
  readonly isSecure: boolean;
  readonly #client: ControlClient;
  #tookMs: number[] = [];

  constructor(gateway: Gateway, isSecure: boolean) {
    this.isSecure = isSecure;
    this.#client = new ControlClient({
      address: Endpoint.parse(gateway.address),
      roots: isSecure ? Deno.readFileSync(gateway.cert) : undefined,
    });
  }

  /** A few lists and a whole session, all of which must be answered right. */
  async round(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      const start = performance.now();
      const { sessions } = await this.#client.call("list", {});
      this.#tookMs.push(performance.now() - start);
      assertEquals(sessions, []);
      // The pace of somebody who is not in a hurry: its own rate is bounded as well.
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    const uid = Uid.random().reveal();
    const target = "127.0.0.1:9";
    const requested = this.#client.call("req", { uid, role: "PROD", num_conn: 1 });
    await this.#client.call("hello", { uid, role: "PROD", prod_listeners: [target] });
    const { listeners, prod_listeners } = await requested;
    assertEquals([listeners.length, prod_listeners], [1, [target]]);
    await this.#client.call("update", { uid, role: "PROD", remote_listeners: [target] });
    await this.#client.call("release", { uid });
  }

  /** Of what has been measured since the last `forget`. */
  median(): number {
    return this.#tookMs.toSorted((a, b) => a - b)[this.#tookMs.length >> 1] ?? NaN;
  }

  forget(): void {
    this.#tookMs = [];
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** Each group has a network of its own: whoever was cut has to wait, and the next is somebody else. */
function startAttack(
  gateway: Gateway,
  isSecure: boolean,
  attacks: string[],
  at: number,
  most: number,
): Running {
  const { host, port } = Endpoint.parse(gateway.address);
  return new Running([
    // An attacker is on a machine of its own, and takes no processor from the server's.
    ...["nice", "-n", "10", Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only"],
    ...["--allow-net", "--allow-read", "--allow-write", "--allow-run=h2load"],
    `--config=${new URL("../deno.json", import.meta.url).pathname}`,
    new URL("./http2_attacks.ts", import.meta.url).pathname,
    ...[attacks.join(",,"), host, String(port), `127.1.${at}`, String(most)],
    ...isSecure ? [gateway.cert] : [],
  ]);
}

async function refusals(http: string): Promise<Map<string, number>> {
  const text = await (await fetch(`http://${http}/metrics`)).text();
  const lines = text.matchAll(/^scistream_refusals_total\{limit="(.*)"\} (\d+)$/gm);
  return new Map([...lines].map(([, limit = "", count]) => [limit, Number(count)]));
}

const openFiles = (pid: number) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;

function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Number(kb) / 1024;
}

async function whyNoH2load(): Promise<string | undefined> {
  try {
    await run(["h2load", "--version"]);
  } catch {
    return "not installed: h2load";
  }
}
