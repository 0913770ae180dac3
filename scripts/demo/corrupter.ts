/**
 * A man in the middle that alters one byte, to show that the demo would notice.
 * @module
 */
import { Endpoint } from "../../lib/protocol/endpoint.ts";

/** Passes one connection on to `target`, with one bit of the first bytes coming back flipped. */
export function corrupting(target: Endpoint): { address: Endpoint } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let conns: Deno.TcpConn[] = [];
  const pass = async () => {
    const near = await listener.accept();
    const far = await Deno.connect({ hostname: target.host, port: target.port });
    conns = [near, far];
    const buffer = new Uint8Array(1 << 20);
    for (let first = true;; first = false) {
      const n = await far.read(buffer);
      if (n === null) break;
      if (first) buffer[n >> 1] = (buffer[n >> 1] ?? 0) ^ 1;
      for (let at = 0; at < n;) at += await near.write(buffer.subarray(at, n));
    }
    await near.closeWrite();
    while (await near.read(buffer) !== null);
    // The producer waits for its consumer to hang up.
    await far.closeWrite();
  };
  // Whoever is cut off by this ending sees it at its own end.
  pass().catch(() => {});
  return {
    address: new Endpoint("127.0.0.1", listener.addr.port),
    [Symbol.dispose]() {
      listener.close();
      for (const conn of conns) {
        try {
          conn.close();
        } catch {
          // It is closed.
        }
      }
    },
  };
}
