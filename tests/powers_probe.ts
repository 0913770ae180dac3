/**
 * Loaded into a process before its own code (`deno run --preload`): when the process ends it prints
 * what it may still do, asked of the runtime and tried.
 * @module
 */
import { type Power, POWERS } from "../lib/cli/powers.ts";

/** Something that each power is needed for and that harms nothing. */
const TRIES: Record<Power | "sys", () => unknown> = {
  net: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  read: () => Deno.statSync("/etc/passwd"),
  write: () => Deno.removeSync(Deno.makeTempFileSync({ dir: "/tmp" })),
  env: () => Deno.env.get("HOME"),
  run: () => new Deno.Command("true").outputSync(),
  ffi: () => Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }).close(),
  sys: () => Deno.uid(),
};

function granted(name: Power | "sys"): boolean {
  const { state } = Deno.permissions.querySync({ name } as Deno.PermissionDescriptor);
  try {
    TRIES[name]();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    if (state === "granted") throw new Error(`${name} is granted, and refused`);
    return false;
  }
  if (state !== "granted") throw new Error(`${name} is not granted, and works`);
  return true;
}

globalThis.addEventListener("unload", () => {
  const names: (Power | "sys")[] = [...POWERS, "sys"];
  console.error(`still granted: ${names.filter(granted).join(", ")}`);
});
