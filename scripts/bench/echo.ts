// Sends back what it gets, at once. A process of its own: it must not wait for its client's event
// loop.
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`listening on ${listener.addr.port}`);
for (;;) {
  try {
    echo(await listener.accept()).catch(() => {});
  } catch {
    // Reset before it was accepted: "not connected". The iterator would end with it.
  }
}

async function echo(conn: Deno.TcpConn): Promise<void> {
  using _closed = conn;
  conn.setNoDelay();
  const buffer = new Uint8Array(1 << 12);
  for (let count; (count = await conn.read(buffer)) !== null;) {
    for (let sent = 0; sent < count;) sent += await conn.write(buffer.subarray(sent, count));
  }
}
