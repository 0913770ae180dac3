/** Bytes that node:tls may have read between two collections; more, and V8 begins to mark the whole heap. */
const BETWEEN = 8 << 20;

/** There with the flag `--expose-gc` of V8, which s2ds is started with. */
const { gc } = globalThis as { gc?: (options: { type: "minor" }) => void };

let bytes = 0;

/**
 * Has what node:tls leaves behind collected in time. Deno 2.9.3 makes a buffer for every read of an
 * encrypted connection, 64 KiB each: four flows took a gigabyte, and V8's own collections a quarter of
 * the processor's time. A collection of young objects takes some 0.4 ms; one flow went from 7 to 9
 * Gbit/s.
 */
export function countGarbage(read: number): void {
  bytes += read;
  if (bytes < BETWEEN) return;
  bytes = 0;
  gc?.({ type: "minor" });
}
