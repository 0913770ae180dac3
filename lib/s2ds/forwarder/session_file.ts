/**
 * What `s2ds --session` is told: one session in a file, and the secret of its data channel in another.
 * @module
 */
import { quote } from "../../protocol/errors.ts";
import { type Holding, parseEndpoints, parseHolding, parseJson, parseSecret } from "./wire.ts";

/** Longest session file, in bytes: the engines' own bound on a configuration is lower. */
export const LONGEST_SESSION = 1 << 20;
/** Longest secret file, in bytes: its hex, and a line end. */
export const LONGEST_SECRET = 100;

/** A session, as its file has it. */
export interface SessionFile extends Holding {
  /** One a channel; without them whoever connects is turned away. */
  targets?: string[];
}

const KEYS = ["role", "listeners", "targets", "allow", "rate", "udp"];

/**
 * Checks a session file's text.
 * @throws {Error} that says what is wrong with it
 */
export function parseSessionFile(text: string): SessionFile {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("not an object");
  }
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new Error(`unknown key ${quote(unknown)}; there are ${KEYS.join(", ")}`);
  }
  const fields = value as Record<string, unknown>;
  const holding = parseHolding(fields);
  const { listeners } = holding;
  const seen = new Set<string>();
  // Ports are shared, so the system would let one channel take half of another's connections.
  const twice = listeners.find((at) => seen.size === seen.add(at).size);
  if (twice !== undefined) throw new Error(`listener ${twice} is there twice`);
  if (fields.targets === undefined) return holding;
  const targets = parseEndpoints(fields.targets);
  if (targets.length !== listeners.length) {
    throw new Error(`${targets.length} targets for ${listeners.length} listeners`);
  }
  return { ...holding, targets };
}

/**
 * Checks a secret file's text; answers its bytes.
 * @throws {Error} that does not quote it
 */
export function parseSecretFile(text: string): Uint8Array {
  return Uint8Array.fromHex(parseSecret(text.trim()));
}

/**
 * The text of a file that is not to be longer than this.
 * @throws {Error}
 */
export async function readBounded(path: string, most: number): Promise<string> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(most + 1);
  let length = 0;
  for (let n; length <= most && (n = await file.read(bytes.subarray(length))) !== null;) {
    length += n;
  }
  if (length > most) throw new Error(`longer than ${most} bytes`);
  return new TextDecoder().decode(bytes.subarray(0, length));
}
