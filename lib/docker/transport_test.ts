// Time limits, aborts and connections: what the client does when its peer does nothing, or too early.
import { assertEquals, assertRejects } from "@std/assert";
import { DockerEngine, DockerError } from "./engine.ts";
import { jsonLines, MAX_LINE_BYTES } from "./json_lines.ts";
import { answer, HEAD, Peer } from "./test_peer.ts";
import { type Ask, Transport } from "./transport.ts";

const GET: Ask = { method: "GET", path: ["x"] };

async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  let all = "";
  for await (const bytes of body) all += new TextDecoder().decode(bytes);
  return all;
}

Deno.test("transport: a stream may be silent longer than any patience", async () => {
  const go = Promise.withResolvers<void>();
  await using peer = new Peer(async (caller) => {
    await caller.request();
    await caller.say(`${HEAD}\r\n`);
    await go.promise;
    await caller.say("late");
  });
  const transport = new Transport(peer.host, 250);
  const { body } = await transport.open("x", { ...GET, bodyMs: Infinity });
  setTimeout(go.resolve, 500);
  assertEquals(await text(body), "late");
});

Deno.test("transport: an error's body is not waited for as long as a stream", async () => {
  await using peer = new Peer(async (caller) => {
    await caller.request();
    await caller.say("HTTP/1.1 500 X\r\n\r\n{");
    await caller.closed();
  });
  const { status, body } = await new Transport(peer.host, 250).open("x", {
    ...GET,
    bodyMs: Infinity,
  });
  assertEquals(status, 500);
  await assertRejects(() => text(body), DockerError, "did not end its answer within 0.25 s (x)");
});

Deno.test("transport: a time beyond what a timer takes is not no time at all", async () => {
  await using peer = new Peer(async (caller) => {
    await caller.request();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await caller.say(answer("ok"));
  });
  const ask = { ...GET, headMs: 2 ** 40, bodyMs: 2 ** 40 };
  assertEquals(await text((await new Transport(peer.host, 20).open("x", ask)).body), "ok");
});

Deno.test("transport: an abort before, while waiting and while reading closes the connection", async () => {
  const closed: Promise<void>[] = [];
  await using peer = new Peer(async (caller, n) => {
    await caller.request();
    if (n === 2) await caller.say(`${HEAD}\r\nfirst`);
    const gone = caller.closed();
    closed.push(gone);
    await gone;
  });
  const transport = new Transport(peer.host, 10_000);
  const reason = new Error("enough");
  await assertRejects(
    () => transport.open("x", { ...GET, signal: AbortSignal.abort(reason) }),
    Error,
    "enough",
  );
  assertEquals(peer.calls, 0);

  const waiting = new AbortController();
  setTimeout(() => waiting.abort(reason), 20);
  await assertRejects(
    () => transport.open("x", { ...GET, signal: waiting.signal }),
    Error,
    "enough",
  );
  await closed[0];

  const reading = new AbortController();
  const { body } = await transport.open("x", { ...GET, signal: reading.signal });
  assertEquals(new TextDecoder().decode((await body.next()).value), "first");
  const next = body.next();
  reading.abort(reason);
  await assertRejects(() => next, Error, "enough");
  await closed[1];

  const connecting = new AbortController();
  const opening = transport.open("x", { ...GET, signal: connecting.signal });
  connecting.abort(reason);
  await assertRejects(() => opening, Error, "enough");
});

Deno.test("transport: a signal that outlives many calls keeps nothing of them", async () => {
  await using peer = new Peer(async (caller) => {
    await caller.request();
    await caller.say(answer("ok"));
  });
  const { signal } = new AbortController();
  let listening = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listening++, add(...args));
  signal.removeEventListener = (
    ...args: Parameters<typeof remove>
  ) => (listening--, remove(...args));
  const { body } = await new Transport(peer.host, 10_000).open("x", { ...GET, signal });
  assertEquals(listening, 1);
  assertEquals(await text(body), "ok");
  assertEquals(listening, 0);
});

Deno.test("transport: a body that nobody wants is closed, begun or not", async () => {
  const closed: Promise<void>[] = [];
  await using peer = new Peer(async (caller) => {
    const ping = (await caller.request()).includes("_ping");
    if (ping) return await caller.say(`${HEAD}Api-Version: 1.41\r\n\r\n`);
    await caller.say(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    const gone = caller.closed();
    closed.push(gone);
    await gone;
  });
  const { body } = await new Transport(peer.host, 10_000).open("x", GET);
  await body.return(undefined);
  await closed[0];
  const stop = new AbortController();
  const engine = new DockerEngine({ socket: peer.socket });
  const events = await engine.events({ labels: {} }, stop.signal);
  await events.return(undefined);
  await closed[1];
});

const LARGE: Ask = {
  method: "PUT",
  path: ["x"],
  bytes: { type: "application/x-tar", bytes: new Uint8Array(8 << 20) },
};

Deno.test("transport: an answer that comes before a large request was read is the answer", async () => {
  await using peer = new Peer((caller) => caller.say(answer("no room", 507)));
  const { status, body } = await new Transport(peer.host, 10_000).open("x", LARGE);
  assertEquals([status, await text(body)], [507, "no room"]);
});

Deno.test("transport: a peer that does not read does not hold the caller beyond its patience", async () => {
  // Regression: Deno's close() does not end a write that waits, and it was waited for.
  const seen = Promise.withResolvers<void>();
  await using peer = new Peer(() => seen.promise);
  const open = () => new Transport(peer.host, 50).open("x", LARGE);
  await assertRejects(open, DockerError, "did not answer within 0.05 s");
  seen.resolve();
});

Deno.test("transport: large requests and answers arrive whole", async () => {
  await using peer = new Peer(async (caller) => {
    let got = await caller.request();
    const length = Number(/Content-Length: (\d+)/.exec(got)?.[1]);
    const start = got.indexOf("\r\n\r\n") + 4;
    while (got.length < start + length) got += await caller.request();
    await caller.say(answer(got.slice(start)));
  });
  const json = { text: "x".repeat(3 << 20) };
  const transport = new Transport(peer.host, 10_000);
  const { body } = await transport.open("x", { method: "POST", path: ["x"], json });
  assertEquals(await text(body), JSON.stringify(json));
});

Deno.test("lines: a line without end is refused, any other is whole", async () => {
  async function* pieces(...all: string[]) {
    for (const piece of all) yield await Promise.resolve(new TextEncoder().encode(piece));
  }
  const read = async (...all: string[]) => {
    const values: unknown[] = [];
    for await (const value of jsonLines(pieces(...all), "x")) values.push(value);
    return values;
  };
  const whole = '{"a":"ü"}\r\n\n[1]\n2';
  for (let i = 0; i <= whole.length; i++) {
    assertEquals(await read(whole.slice(0, i), whole.slice(i)), [{ a: "ü" }, [1], 2]);
  }
  const long = " ".repeat(MAX_LINE_BYTES / 2);
  await assertRejects(() => read(long, long, " "), DockerError, "a line of over");
  await assertRejects(() => read("{}\n{"), DockerError, "not JSON");
});

Deno.test("transport: of thousands of requests some go on at a time, beside those that last", async () => {
  const all = Promise.withResolvers<void>();
  let most = 0;
  let now = 0;
  await using peer = new Peer(async (caller) => {
    const line = await caller.request();
    if (line.includes("/lasts")) return await all.promise;
    most = Math.max(most, ++now);
    await caller.say(`${HEAD}Content-Length: 2\r\n\r\nOK`);
    now--;
  });
  const transport = new Transport(peer.host, 60_000);
  const ask = async (more: Partial<Ask> = {}) => {
    const { body } = await transport.open("x", { ...GET, ...more });
    return (await transport.whole(body, "x")).length;
  };
  const stop = new AbortController();
  const lasting = Array.from(
    { length: 100 },
    () => ask({ path: ["lasts"], headMs: Infinity, signal: stop.signal }).catch(() => 0),
  );
  const answered = await Promise.all(Array.from({ length: 500 }, () => ask()));
  assertEquals([new Set(answered), most <= 64], [new Set([2]), true]);
  stop.abort();
  all.resolve();
  await Promise.all(lasting);
});
