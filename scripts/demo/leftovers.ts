/**
 * Whether the demo left anything behind.
 * @module
 */
import process from "node:process";

/** Processes whose command line names this folder: everything that the demo started does. */
export async function processesNaming(folder: string): Promise<number[]> {
  // Deno shows /proc only to processes that may do everything, and a slim container has no ps; grep
  // is everywhere.
  // It reads the folder's name from stdin, so that it does not find itself.
  const [program, args]: [string, string[]] = Deno.build.os === "linux"
    ? ["sh", ["-c", "exec grep -laFs -f - /proc/[0-9]*/cmdline"]]
    : ["ps", ["-A", "-o", "pid=,args="]];
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "null" })
    .spawn();
  const writer = child.stdin.getWriter();
  // ps does not read.
  await writer.write(new TextEncoder().encode(folder)).catch(() => {});
  await writer.close().catch(() => {});
  const text = new TextDecoder().decode((await child.output()).stdout);
  return text.split("\n").flatMap((line) => {
    const found = /^\/proc\/(\d+)\/cmdline$/.exec(line);
    if (found) return [Number(found[1])];
    return Deno.build.os !== "linux" && line.includes(folder) ? [parseInt(line)] : [];
  });
}

/** Whether a process of this number is there. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether anybody accepts connections there. */
export async function isListening(at: { host: string; port: number }): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: at.host, port: at.port })).close();
    return true;
  } catch {
    return false;
  }
}

/** Whether a file or folder is there. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
