import { assert } from "@std/assert";
import net from "node:net";
import { dial, Relay } from "./relay.ts";

Deno.test("regression: a stream that starts reading again by itself does not overwrite what is being written", async () => {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  // It never reads.
  const { port } = server.address() as net.AddressInfo;
  using _client = await Deno.connect({ hostname: "127.0.0.1", port });
  const dialled = dial();
  const relay = new Relay(await accepted, dialled, { toTarget() {}, fromTarget() {} });
  const { buffer, callback } = dialled.half.onread as {
    buffer: () => Uint8Array;
    callback: net.OnReadOpts["callback"];
  };
  const held = new Set<ArrayBufferLike>();
  for (let i = 0; i < 6; i++) {
    let last: Uint8Array;
    do last = buffer(); while (callback(last.length, last));
    held.add(last.buffer);
    // Node.js documents only that `callback` may say stop, not that no read follows.
    assert(!held.has(buffer().buffer), "the next read would go where a write reads from");
  }
  relay.reset();
  await relay.done;
  server.close();
});
