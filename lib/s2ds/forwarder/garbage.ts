/** Bytes that node:tls may have read between two collections. */
const BETWEEN = 32 << 20;

/** There with the flag `--expose-gc` of V8, which s2ds is started with. */
const { gc } = globalThis as { gc?: (options: { type: "minor" }) => void };

let bytes = 0;

/**
 * Has what node:tls leaves behind collected in time. Deno 2.9.3 makes a buffer for every read of an
 * encrypted connection, 64 KiB each, which V8 hardly counts: four flows took a gigabyte. A collection
 * of young objects takes some 0.4 ms, and the flows are no slower for it.
 */
export function countGarbage(read: number): void {
  bytes += read;
  if (bytes < BETWEEN) return;
  bytes = 0;
  gc?.({ type: "minor" });
}
