/**
 * What /metrics tells is what was done, exactly; docs/metrics.md has all of it, and Prometheus takes it.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, EchoServer, readExactly, writeAll } from "./echo.ts";
import { eventually, freePort, Gateway, leftOutIf, run, Running, tempFolder } from "./harness.ts";
import { authenticated, call, GATEWAY, refusal } from "./oauth/gateway.ts";
import { Pair } from "./pair.ts";

const page = Deno.readTextFileSync(new URL("../docs/metrics.md", import.meta.url));

/** A metric with what its lines say. */
interface Metric {
  type: string;
  labels: Set<string>;
}

/** Everything of one scrape. */
class Scrape {
  readonly metrics = new Map<string, Metric>();
  /** Values by `name{labels}` without `scistream_`. */
  readonly #values = new Map<string, number>();

  constructor(readonly text: string) {
    let metric: Metric | undefined;
    for (const line of text.split("\n")) {
      const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      if (name && type) this.metrics.set(name, metric = { type, labels: new Set() });
      if (line === "" || line.startsWith("#")) continue;
      const [, key, labels = "", value] = /^([^{ ]+(?:\{(.*)\})?) (\S+)$/.exec(line) ?? [];
      assert(key, line);
      for (const [, label] of labels.matchAll(/(\w+)="/g)) metric?.labels.add(label as string);
      this.#values.set(key.replace(/^scistream_/, ""), Number(value));
    }
  }

  /** 0 where the line is not there. */
  get(line: string): number {
    return this.#values.get(line) ?? 0;
  }

  has(line: string): boolean {
    return this.#values.has(line);
  }

  /** All of a metric's lines that are not 0, by what is in braces. */
  all(name: string): Record<string, number> {
    const lines = [...this.#values].filter(([key, value]) => key.startsWith(`${name}{`) && value);
    return Object.fromEntries(
      lines.map(([key, value]) => [key.slice(name.length + 1, -1), value]),
    );
  }
}

/** @param token of an administrator, where callers are authenticated */
async function scrape(http: string, token?: string): Promise<Scrape> {
  const headers = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  const response = await fetch(`http://${http}/metrics`, { headers });
  assertEquals(response.status, 200);
  return new Scrape(await response.text());
}

/** The first scrape in which this line has this value. */
async function scrapeUntil(http: string, line: string, value: number): Promise<Scrape> {
  let now!: Scrape;
  await eventually(`${line} is ${value}`, async () => {
    now = await scrape(http);
    return now.has(line) && now.get(line) === value;
  });
  return now;
}

const ADMIN = "--admin=user:alice@anl.gov";
const http = () => `127.0.0.1:${freePort()}`;
const clientOf = (gateway: Gateway) =>
  new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });

/** Sends so many bytes through and has them back. */
async function echo(to: string, bytes: number): Promise<Deno.TcpConn> {
  const conn = await dial(to);
  await writeAll(conn, new Uint8Array(bytes));
  await readExactly(conn, bytes);
  return conn;
}

/** A pair of gateways, of which the producer's tells its metrics. */
async function measuredPair(type: string, ...flags: string[]) {
  const at = http();
  const [prod, cons] = await Promise.all([
    Gateway.start(`--type=${type}`, `--http=${at}`, ...flags),
    Gateway.start(`--type=${type}`, ...flags),
  ]);
  return { pair: Pair.of(prod, cons), at, prod };
}

/** What the counts of data say, the open connections last. */
function carried(now: Scrape): number[] {
  return [
    'bytes_total{direction="to_target"}',
    'bytes_total{direction="from_target"}',
    "connections_accepted_total",
    "connections_failed_total",
    "connections_refused_total",
    "connections_open",
  ].map((line) => now.get(line));
}

Deno.test("bytes and connections are counted exactly, over sessions that ended and data servers that died", async () => {
  const { pair, at, prod } = await measuredPair("S2DS", "--workers=2");
  await using _ = pair;
  await using app = new EchoServer();
  const first = await pair.connect(app.endpoint);
  (await echo(first.cons[0] as string, 100_000)).close();
  const open = await echo(first.cons[0] as string, 2_345);
  const during = await scrapeUntil(at, "connections_open", 1);
  assertEquals(carried(during), [102_345, 102_345, 2, 0, 0, 1]);
  assertEquals(during.all("ports"), { 'state="used"': 1, 'state="free"': 19 });
  // The connection goes on while its session drains, and what it carries counts.
  const released = pair.release(first);
  await prod.process.line(/streaming → draining/, "err");
  await writeAll(open, new Uint8Array(55));
  await readExactly(open, 55);
  open.close();
  await released;
  const after = await scrape(at);
  assertEquals(carried(after), [102_400, 102_400, 2, 0, 0, 0]);
  assertEquals(after.all("ports"), { 'state="free"': 20 });

  const second = await pair.connect(app.endpoint);
  const cut = await echo(second.cons[0] as string, 600);
  assertEquals(carried(await scrapeUntil(at, "connections_open", 1)), [
    103_000,
    103_000,
    3,
    0,
    0,
    1,
  ]);
  for (const pid of prod.dataServers()) Deno.kill(pid, "SIGKILL");
  await prod.process.line(/(the data server is back[^]*){2}/, "err");
  cut.close();
  (await echo(second.cons[0] as string, 1)).close();
  const anew = await scrapeUntil(at, "connections_open", 0);
  assertEquals(carried(anew), [103_001, 103_001, 4, 0, 0, 0]);
  assertEquals(anew.get("data_server_restarts_total"), 2);
  assertEquals(anew.all("sessions"), { 'state="streaming",role="PROD",type="S2DS"': 1 });
});

Deno.test("connections that were refused or failed are told apart", async () => {
  const { pair, at } = await measuredPair("S2DS", "--wan=plain");
  await using _ = pair;
  const nobody = new Endpoint("127.0.0.1", freePort());
  const stream = await pair.connect(nobody);
  for (let i = 0; i < 3; i++) {
    using conn = await dial(stream.prod[0] as string);
    await conn.read(new Uint8Array(1)).catch(() => null);
  }
  const failed = await scrapeUntil(at, "connections_failed_total", 3);
  assertEquals(carried(failed), [0, 0, 3, 3, 0, 0]);
  await pair.release(stream);
  assertEquals(carried(await scrape(at)), [0, 0, 3, 3, 0, 0]);
});

Deno.test("HAProxy's counts stay when its sessions end; nginx's are not told, for it has none", async () => {
  for (const [type, counts] of [["HaproxySubprocess", true], ["NginxSubprocess", false]] as const) {
    const { pair, at } = await measuredPair(type);
    await using _ = pair;
    await using app = new EchoServer();
    let sum = 0;
    for (const bytes of [5_000, 70_000]) {
      const stream = await pair.connect(app.endpoint);
      (await echo(stream.cons[0] as string, bytes)).close();
      sum += bytes;
      // HAProxy counts a connection's bytes when it has ended.
      if (counts) await scrapeUntil(at, 'bytes_total{direction="from_target"}', sum);
      await pair.release(stream);
    }
    const now = await scrape(at);
    assertEquals(now.has('bytes_total{direction="to_target"}'), counts);
    assertEquals(now.has("connections_open"), counts);
    assertEquals(carried(now), counts ? [75_000, 75_000, 2, 0, 0, 0] : [0, 0, 0, 0, 0, 0]);
  }
});

Deno.test("sessions are counted by what became of them, and the steps of those that were set up", async () => {
  const at = http();
  await using gateway = await Gateway.start("--type=Mock", `--http=${at}`, "--hello-timeout=0.3");
  using stack = new DisposableStack();
  const client = stack.adopt(clientOf(gateway), (client) => client.close());
  const app = "10.0.0.1:5001";
  const request = (uid: string, signal?: AbortSignal) =>
    client.call("req", { uid, role: "PROD", num_conn: 2 }, { signal });
  for (let i = 0; i < 3; i++) {
    const uid = Uid.random().reveal();
    await Promise.all([
      request(uid),
      client.call("hello", { uid, role: "PROD", prod_listeners: [app] }),
    ]);
    for (let j = 0; j < 2; j++) {
      await client.call("update", { uid, role: "PROD", remote_listeners: [app] });
    }
    if (i > 0) await client.call("release", { uid });
  }
  // No hello in time, and then a client that goes away.
  assertMatch(await refusal(request(Uid.random().reveal())), /^TIMEOUT/);
  const gone = new AbortController();
  const leaving = request(Uid.random().reveal(), gone.signal).catch(() => {});
  await gateway.process.line(/(reserved → waiting[^]*){5}/, "err");
  gone.abort();
  await leaving;
  await gateway.process.line(/waiting → failed/, "err");
  const now = await scrapeUntil(at, 'sessions_ended_total{outcome="failed"}', 1);
  assertEquals(now.all("sessions_ended_total"), {
    'outcome="released"': 2,
    'outcome="expired"': 1,
    'outcome="failed"': 1,
  });
  assertEquals(now.all("sessions"), { 'state="streaming",role="PROD",type="Mock"': 1 });
  assertEquals(now.all("ports"), { 'state="used"': 2, 'state="free"': 18 });
  assertEquals(now.all("setup_duration_seconds_count"), {
    'step="reserve"': 5,
    'step="listen"': 5,
    'step="hello"': 3,
    'step="update"': 3,
    'step="total"': 3,
  });
  assertEquals(now.get('setup_duration_seconds_bucket{step="total",le="+Inf"}'), 3);
  const buckets = Object.entries(now.all("setup_duration_seconds_bucket"))
    .filter(([labels]) => labels.startsWith('step="listen"')).map(([, count]) => count);
  assertEquals(
    buckets,
    buckets.toSorted((a, b) => a - b),
    "what is below a bound is below the next",
  );
  assertEquals(now.get("early_hellos"), 0);
});

Deno.test("callers are counted by what their token was worth, and whether it was known", async () => {
  const at = http();
  await using facility = await authenticated(["--type=Mock", `--http=${at}`, ADMIN]);
  const { oauth, gateway } = facility;
  const alice = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  for (let i = 0; i < 4; i++) await call(gateway, alice, "list");
  for (let i = 0; i < 2; i++) await refusal(call(gateway, "not-alices-token", "list"));
  await refusal(call(gateway, undefined, "list"));
  const now = await scrape(at, alice);
  assertEquals(now.all("authentications_total"), {
    'outcome="good",cached="false"': 1,
    // The scrape is one of them.
    'outcome="good",cached="true"': 4,
    'outcome="bad",cached="false"': 1,
    'outcome="bad",cached="true"': 2,
  });
  assertEquals(now.get("authentication_duration_seconds_count"), 2);
  await oauth[Symbol.asyncDispose]();
  await refusal(call(gateway, "somebody-elses-token", "list"));
  const without = await scrape(at, alice);
  assertEquals(without.get('authentications_total{outcome="unreachable",cached="false"}'), 1);
});

Deno.test("the page has every metric that a control server tells, with its type and labels, and no other", async () => {
  const at = http();
  await using facility = await authenticated([
    "--type=S2DS",
    `--http=${at}`,
    "--call-rate=1",
    ADMIN,
  ]);
  const alice = await facility.oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  await Promise.all([1, 2, 3, 4].map(() => refusal(call(facility.gateway, "bad-token-1", "list"))));
  const now = await scrape(at, alice);
  const told = [...now.metrics].map(([name, { type, labels }]) =>
    [name, type, [...labels].filter((label) => label !== "le").join()].join(" ")
  );
  // tests/scale_doc_test.ts has nodes.
  const here = page.replace(/^### Nodes$[^]*?(?=^### )/m, "");
  const rows = [...here.matchAll(/^\| `(\w+)` +\| (\w+) +\| ([^|]*?) *\|/gm)];
  const onPage = rows.map(([, name, type, labels]) =>
    [name, type, labels?.replaceAll(/[` ]/g, "")].join(" ")
  );
  assertEquals(onPage.toSorted(), told.toSorted());
  const { notAfter } = await certificateOf(facility.gateway);
  assertEquals(now.get("certificate_expiry_timestamp_seconds") * 1000, notAfter);
  assert(now.get("process_resident_memory_bytes") > 10 << 20);
});

async function certificateOf({ cert }: Gateway): Promise<{ notAfter: number }> {
  const { out } = await run(["openssl", "x509", "-in", cert, "-noout", "-enddate"]);
  return { notAfter: Date.parse(out.replace("notAfter=", "").trim()) };
}

/** What is in a fenced block with this word. */
function block(word: string): string {
  return new RegExp("```[a-z]+ ?" + word + "\n([^]*?)```").exec(page)?.[1] ?? "";
}

const prometheus = leftOutIf(
  (await run(["sh", "-c", "command -v prometheus && command -v promtool"])).code === 0
    ? undefined
    : "Debian's prometheus is not installed",
);

Deno.test({
  name: `Prometheus takes the metrics, the page's rules and questions${prometheus.because}`,
  ignore: prometheus.ignore,
  async fn() {
    const { pair, at } = await measuredPair("S2DS", "--wan=plain");
    await using _ = pair;
    await using app = new EchoServer();
    const stream = await pair.connect(app.endpoint);
    (await echo(stream.cons[0] as string, 4_321)).close();
    const { text } = await scrapeUntil(at, "connections_open", 0);
    const checked = await run(["promtool", "check", "metrics"], { stdin: text });
    assertEquals([checked.code, checked.out, checked.err], [0, "", ""]);

    using folder = tempFolder();
    const [config, rules] = ["prometheus.yml", "rules.yml"].map((name) => `${folder.path}/${name}`);
    const own = block("prometheus").replace("127.0.0.1:5080", at).replace("15s", "1s");
    Deno.writeTextFileSync(config as string, `rule_files: [rules.yml]\n${own}`);
    Deno.writeTextFileSync(rules as string, block("rules"));
    const web = http();
    const server = new Running([
      "prometheus",
      `--config.file=${config}`,
      `--storage.tsdb.path=${folder.path}/data`,
      `--web.listen-address=${web}`,
    ]);
    try {
      await server.line(/Server is ready to receive web requests/, "err");
      const ask = async (query: string) => {
        const response = await fetch(
          `http://${web}/api/v1/query?${new URLSearchParams({ query })}`,
        );
        const { status, data, error } = await response.json();
        assertEquals(status, "success", `${query}: ${error}`);
        return data.result as { value: [number, string] }[];
      };
      const bytes = await eventually(
        "it was scraped",
        async () => (await ask('scistream_bytes_total{direction="to_target"}'))[0]?.value[1],
      );
      assertEquals(bytes, "4321");
      const questions = block("questions").split("\n").filter((line) =>
        line && !line.startsWith("#")
      );
      assertEquals(questions.length, 6);
      for (const question of questions) await ask(question);
      assertEquals(
        (await ask('sum(scistream_sessions{state="streaming"})'))[0]?.value[1],
        "1",
      );
      const loaded = await (await fetch(`http://${web}/api/v1/rules`)).json();
      assertEquals(loaded.data.groups[0].rules.length, block("rules").match(/alert:/g)?.length);
    } finally {
      await server.stop();
    }
  },
});
