/**
 * An application over several channels, for the tutorial's test: a file, part i over channel i.
 *
 *     tutorial_file.ts serve FILE PORT …        sends part i to whoever connects to the i-th port
 *     tutorial_file.ts fetch FILE SIZE HOST:PORT …   puts together what each of them sends
 *
 * @module
 */

const PIECE = 1 << 20;

/** Where part `i` of `count` begins; part `count` begins at the end. The parts need not be equal. */
function offset(size: number, count: number, i: number): number {
  return i === count ? size : i * Math.floor(size / count);
}

async function serve(path: string, ports: number[]): Promise<void> {
  const { size } = await Deno.stat(path);
  const listeners = ports.map((port) => Deno.listen({ hostname: "0.0.0.0", port }));
  console.log("serving");
  await Promise.all(listeners.map(async (listener, i) => {
    using conn = await listener.accept();
    listener.close();
    using file = await Deno.open(path);
    let left = offset(size, ports.length, i + 1) - offset(size, ports.length, i);
    await file.seek(offset(size, ports.length, i), Deno.SeekMode.Start);
    const buffer = new Uint8Array(PIECE);
    while (left > 0) {
      const n = await file.read(buffer.subarray(0, left));
      if (n === null) throw new Error(`${path} became shorter`);
      for (let sent = 0; sent < n;) sent += await conn.write(buffer.subarray(sent, n));
      left -= n;
    }
    await conn.closeWrite();
    // The receiver has everything when it closes its side.
    if (await conn.read(buffer) !== null) throw new Error("the receiver sent something");
  }));
}

async function fetch(path: string, size: number, from: string[]): Promise<void> {
  await Deno.writeFile(path, new Uint8Array());
  await Promise.all(from.map(async (address, i) => {
    const [hostname, port] = address.split(":");
    using conn = await Deno.connect({ hostname: hostname as string, port: Number(port) });
    using file = await Deno.open(path, { write: true });
    await file.seek(offset(size, from.length, i), Deno.SeekMode.Start);
    const buffer = new Uint8Array(PIECE);
    for (let n; (n = await conn.read(buffer)) !== null;) {
      for (let put = 0; put < n;) put += await file.write(buffer.subarray(put, n));
    }
  }));
}

const [task, path = "", ...rest] = Deno.args;
if (task === "serve") await serve(path, rest.map(Number));
else if (task === "fetch") await fetch(path, Number(rest[0]), rest.slice(1));
else throw new Error("serve or fetch");
