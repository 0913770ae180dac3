/**
 * A gateway whose control server had another type of data server before: what that left is of no use
 * to this one, and holds the ports of sessions that this one will open anew.
 * @module
 */
import { inModule } from "../log.ts";
import { messageOf } from "../protocol/errors.ts";
import type { DataServer, Home } from "../s2ds/data_server.ts";
import { createDataServer, parseType } from "../s2ds/types.ts";
import { ENGINES } from "../s2ds/type_names.ts";
import type { S2csOptions } from "./settings.ts";

/** The data server of the control server before this one, if that had another type. */
export function earlierDataServer(
  { folder }: Home,
  options: S2csOptions,
): DataServer | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(fileIn(folder)).trim();
    if (text === kindOf(options)) return undefined;
    const ignored = () => {};
    const events = { onFault: ignored, onDown: ignored, onUp: ignored, onNote: ignored };
    const [type = "", engine] = text.split(" ");
    const settings = { ...options, engine: ENGINES.find((each) => each === engine) ?? "docker" };
    return createDataServer(parseType(type), settings, {
      ...events,
      onLog: inModule(options.log, "s2ds"),
    });
  } catch (error) {
    // None has been here, or one that this version does not know.
    if (!(error instanceof Deno.errors.NotFound)) options.log("warn", messageOf(error));
    return undefined;
  }
}

/** Ends whatever the earlier type left, and remembers this one's. */
export async function takeOver(
  home: Home,
  options: S2csOptions,
  earlier: DataServer | undefined,
): Promise<void> {
  const { type, log } = options;
  if (earlier) {
    log("warn", `the data servers were of type ${earlier.type}; they are ended, for ${type}`);
    try {
      await earlier.start(home, []);
      await earlier.stop();
    } catch (error) {
      log("error", `what ${earlier.type} left may still hold ports: ${messageOf(error)}`);
    }
  }
  Deno.writeTextFileSync(fileIn(home.folder), `${kindOf(options)}\n`, { mode: 0o600 });
}

/** The type, and what runs it where that is not this machine's engine. */
function kindOf({ type, engine }: S2csOptions): string {
  return engine === "docker" ? type : `${type} ${engine}`;
}

function fileIn(folder: string): string {
  return `${folder}/type`;
}
