/**
 * Files whose contents may change while a process runs: certificates, secrets, configuration.
 * @module
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";

/** Whoever writes several files has this long for the next one; milliseconds. */
const QUIET_MS = 200;

/**
 * Calls back whenever the contents of one of the files have changed, until aborted.
 * @throws {Error} when the system watches no more
 */
export async function watchFiles(
  paths: readonly string[],
  onChange: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  // Files are replaced, and links to folders exchanged: what happens in their folders tells.
  const watcher = Deno.watchFs([...new Set(paths.map((path) => dirname(path)))], {
    recursive: false,
  });
  const close = () => watcher.close();
  signal.addEventListener("abort", close, { once: true });
  let seen = digest(paths);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn: Promise<void> = Promise.resolve();
  const look = async () => {
    const now = digest(paths);
    if (now === seen) return;
    seen = now;
    await onChange();
  };
  for await (const { kind } of watcher) {
    if (kind === "access") continue;
    clearTimeout(timer);
    timer = setTimeout(() => turn = turn.then(look), QUIET_MS);
  }
  clearTimeout(timer);
  await turn;
}

function digest(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) {
    try {
      hash.update(Deno.readFileSync(path));
    } catch {
      // It is being replaced, or gone.
    }
    hash.update("\0");
  }
  return hash.digest("hex");
}
