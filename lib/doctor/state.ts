/**
 * The check of the folder for sockets, sessions and logs.
 * @module
 */
import { ask } from "../machine.ts";
import { distrustWay } from "../private_folder.ts";
import { messageOf } from "../protocol/errors.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";

/** An audit log and its older files are 100 MiB; sessions are small. In KiB. */
const ROOM = 256 << 10;
const LITTLE_ROOM = 16 << 10;
/** Others of the group, and all others, may write. */
const OTHERS_WRITE = 0o022;

/** `state-folder`: this user's, nobody else's, with room. What is not there is not made. */
export function stateCheck(folder: string): Check {
  return {
    name: "state-folder",
    async look(signal) {
      const there = existing(folder);
      const another = "or choose another --state-dir";
      const own = Number((await ask("id", ["-u"], signal))?.out.trim() || NaN);
      if (Number.isNaN(own)) return skip("the system does not tell which user this is");
      if ((await ask("test", ["-w", there], signal))?.code !== 0) {
        return fail(
          `${there} cannot be written to by user ${own}`,
          `sudo install -d -m 700 -o ${own} ${folder}, ${another}`,
        );
      }
      return distrusted(folder, there, own) ?? await room(folder, there, signal);
    },
  };
}

/** Why s2cs would refuse it, if so. */
function distrusted(folder: string, there: string, own: number): Finding | undefined {
  try {
    const { uid, mode } = Deno.statSync(there);
    if (there === folder && ((mode ?? 0) & OTHERS_WRITE) !== 0) {
      return fail(`other users can write to ${folder}`, `chmod go-w ${folder}`);
    }
    if (there === folder && uid !== own) {
      return fail(
        `${folder} belongs to user ${uid}, and this is user ${own}`,
        `sudo chown ${own} ${folder}, or run this as the user that runs s2cs`,
      );
    }
    const why = distrustWay(there, own);
    return why === undefined
      ? undefined
      : fail(`${folder} ${why}`, "choose a --state-dir in a folder of this user's own");
  } catch (error) {
    return fail(`${folder} cannot be looked at: ${messageOf(error)}`, "choose another --state-dir");
  }
}

async function room(folder: string, there: string, signal: AbortSignal): Promise<Finding> {
  const named = there === folder ? folder : `${folder} (still to be made)`;
  const df = await ask("df", ["-Pk", there], signal);
  const free = Number(/\s(\d+)\s+\d+%\s/.exec(df?.out ?? "")?.[1] ?? NaN);
  if (Number.isNaN(free)) return ok(`${named} is this user's`);
  const told = `${named} has ${Math.floor(free / 1024)} MiB of room`;
  const advice = `make room (df -h ${there}), or choose another --state-dir`;
  if (free < LITTLE_ROOM) return fail(told, advice);
  return free < ROOM ? warn(told, advice) : ok(told);
}

/** The folder, or the nearest above it that is there. */
function existing(folder: string): string {
  for (let at = folder; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf("/")))) {
    try {
      Deno.statSync(at);
      return at;
    } catch {
      // One above, perhaps.
    }
  }
  return folder.startsWith("/") ? "/" : ".";
}
