import { assert } from "@std/assert";
import net from "node:net";
import { Half } from "./half.ts";
import { Budget, MEMORY } from "./budget.ts";
import { plain } from "./sockets.ts";

/** Two ends of a connection of this machine's own. */
async function pair(): Promise<{ near: net.Socket; far: net.Socket; close: () => void }> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  const { port } = server.address() as net.AddressInfo;
  const near = net.connect({ host: "127.0.0.1", port });
  const far = await accepted;
  for (const socket of [near, far]) socket.on("error", () => {});
  return {
    near,
    far,
    close() {
      near.destroy();
      far.destroy();
      server.close();
    },
  };
}

for (const framed of [false, true]) {
  Deno.test(
    `regression: a stream that starts reading again by itself does not overwrite what is being written${
      framed ? ", in frames too" : ""
    }`,
    async () => {
      const from = await pair();
      // Its other end never reads.
      const to = await pair();
      to.near.pause();
      const options = {
        count() {},
        first: () => undefined,
        memory: new Budget(MEMORY),
        finished() {},
        fail(why: string) {
          throw new Error(why);
        },
      };
      const half = new Half(plain(from.far), { ...plain(to.far), framed }, options);
      const held = new Set<ArrayBufferLike>();
      let given = half.next() as Uint8Array;
      for (let i = 0; i < 6; i++) {
        for (;;) {
          const last = given;
          const more = half.read(last.length, last);
          given = half.next() ?? last;
          if (more) continue;
          held.add(last.buffer);
          break;
        }
        // Node.js documents only that a reader may say stop, not that no read follows.
        assert(!held.has(given.buffer), "the next read would go where a write reads from");
      }
      from.close();
      to.close();
    },
  );
}
