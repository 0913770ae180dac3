/**
 * `appctrl run-producer` and `appctrl subscribe` with Python's ZeroMQ, once directly and once through a gateway.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { assertOk, freePort, Gateway, scistream } from "../harness.ts";
import { Python } from "./peers.ts";

/** Long enough for a subscriber that is there already to connect while the publisher publishes. */
const COUNT = 100;

/** Sets the producer's side of a session up; answers where it listens. */
async function through(gateway: Gateway, port: number): Promise<string> {
  const { out } = assertOk(
    await scistream([
      ...["s2uc", "inbound-request", ...gateway.flags, "--num_conn", "1"],
      ...["--remote_ip", "127.0.0.1", "--receiver_ports", String(port)],
    ]),
  );
  return /^Listeners: \['(.*)'\]$/m.exec(out)?.[1] as string;
}

/** A Python subscriber at `target` gets what `appctrl run-producer` publishes on `port`. */
async function producerTo(target: string, port: number): Promise<void> {
  await using subscriber = new Python("subscriber.py", target);
  await subscriber.line(/subscribing\n/);
  assertOk(
    await scistream([
      "appctrl",
      "run-producer",
      String(port),
      "--count",
      `${COUNT}`,
      "--interval=10",
    ]),
  );
  const { out } = assertOk(await subscriber.ended);
  const messages = out.trimEnd().split("\n").slice(1);
  assertEquals(messages.pop(), "NASDA:STOP");
  // Whoever subscribes late misses the first, and nothing after them.
  const form = /^NASDA:(\d{4})th message from publisher @ \d\d:\d\d:\d\d$/;
  const numbers = messages.map((text) => Number(form.exec(text)?.[1]));
  const first = numbers[0] ?? NaN;
  assert(first < COUNT, `received ${out}`);
  assertEquals(numbers, Array.from({ length: COUNT - first }, (_, i) => first + i));
}

/** `appctrl subscribe` gets all that a Python publisher sends; `reach` tells how it reaches its port. */
async function publisherTo(reach: (port: number) => Promise<string>): Promise<void> {
  await using publisher = new Python("publisher.py", "20");
  const port = Number((await publisher.line(/listening (\d+)/))[1]);
  const subscriber = assertOk(await scistream(["appctrl", "subscribe", await reach(port)]));
  assertOk(await publisher.ended);
  const sent = Array.from(
    { length: 20 },
    (_, i) => `NASDA:${String(i).padStart(4, "0")}th message from Zürich\n`,
  );
  assertEquals(subscriber.out, sent.join(""));
  assertEquals(subscriber.err, "transfer completed, 20 messages\n");
}

Deno.test("run-producer is received by Python's ZeroMQ", async () => {
  const port = freePort();
  await producerTo(`127.0.0.1:${port}`, port);
});

Deno.test("run-producer is received by Python's ZeroMQ through a gateway", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  const port = freePort();
  await producerTo(await through(gateway, port), port);
});

Deno.test("subscribe receives all from Python's ZeroMQ", async () => {
  await publisherTo((port) => Promise.resolve(`127.0.0.1:${port}`));
});

Deno.test("subscribe receives all from Python's ZeroMQ through a gateway", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  await publisherTo((port) => through(gateway, port));
});
