/**
 * The files of sessions that proxies run for: folders that a proxy sees, and records that it does not.
 * @module
 */
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import type { ConfigFile } from "./proxy.ts";

/** What the name of a session's record ends with. */
export const RECORD = ".record";

/** Beside a session's folder, which containers see and this must not be seen by. */
export function recordOf(folder: string): string {
  return `${folder}${RECORD}`;
}

/** Keeps a session's record, whole or not at all. */
export function keep(folder: string, record: string): void {
  const path = recordOf(folder);
  try {
    Deno.writeTextFileSync(`${path}.new`, record, { mode: 0o600 });
    Deno.renameSync(`${path}.new`, path);
  } catch (error) {
    removeFolder(`${path}.new`);
    throw new ScistreamError("CONN_ERROR", `cannot write ${path}: ${messageOf(error)}`);
  }
}

/** Puts a file where it belongs, whole or not at all, for its owner alone. */
export function place(folder: string, { name, text }: ConfigFile): void {
  const path = `${folder}/${name}`;
  try {
    const { uid, gid } = Deno.statSync(folder);
    Deno.writeTextFileSync(`${path}.new`, text, { mode: 0o600 });
    // A container of a control server that is root reads it as nobody.
    if (uid !== Deno.statSync(`${path}.new`).uid) Deno.chownSync(`${path}.new`, uid, gid);
    Deno.renameSync(`${path}.new`, path);
  } catch (error) {
    removeFolder(`${path}.new`);
    throw new ScistreamError(
      "CONN_ERROR",
      `cannot write the proxy's configuration ${name}: ${messageOf(error)}`,
    );
  }
}

/** @throws {ScistreamError} CONN_ERROR */
export function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ScistreamError("CONN_ERROR", `cannot make the folder ${path}: ${messageOf(error)}`);
  }
}

/** Removes a folder or file, if it is there. */
export function removeFolder(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
