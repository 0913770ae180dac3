/**
 * Waiting for what proxies write into files.
 * @module
 */

/** Resolves once the file is there and holds something. Throws the signal's reason when aborted. */
export async function written(folder: string, name: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  using watcher = Deno.watchFs(folder, { recursive: false });
  const close = () => watcher.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    const there = () => sizeOf(`${folder}/${name}`) > 0;
    if (there()) return;
    for await (const _event of watcher) if (there()) return;
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** Calls back for each line that is added to the file from now on, until aborted. */
export async function followLines(
  path: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const file = await Deno.open(path);
  let at = await file.seek(0, Deno.SeekMode.End);
  const watcher = Deno.watchFs(path);
  signal.addEventListener("abort", () => watcher.close(), { once: true });
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(64 << 10);
  let pending = "";
  const read = async () => {
    // A log that grew too long has been emptied.
    if (at > sizeOf(path)) {
      at = await file.seek(0, Deno.SeekMode.Start);
      pending = "";
    }
    for (let n; (n = await file.read(chunk)) !== null; at += n) {
      const parts = (pending + decoder.decode(chunk.subarray(0, n), { stream: true })).split("\n");
      pending = parts.pop() ?? "";
      for (const line of parts) onLine(line);
    }
  };
  (async () => {
    using _file = file;
    await read();
    for await (const _event of watcher) await read();
  })().catch(() => {
    // The file went with its session.
  });
}

/** The last lines of a file, of its last 64 KiB; none if it is not there. */
export async function lastLines(path: string): Promise<string[]> {
  try {
    using file = await Deno.open(path);
    const most = 64 << 10;
    await file.seek(Math.max(0, sizeOf(path) - most), Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    return text.split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/** Bytes; 0 for a file that is not there. */
export function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}
