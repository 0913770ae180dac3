/**
 * Files that are written all or none, and never over others unasked.
 * @module
 */
import { UsageError } from "../cli/flags.ts";
import { distrust } from "../private_folder.ts";
import { messageOf } from "../protocol/errors.ts";

/** A file to write. */
export interface NewFile {
  name: string;
  text: string;
  mode: number;
}

/**
 * Writes files into a folder, which is made for this user alone if it is not there. Nothing comes
 * between: it does not wait for anything, so that no signal finds half of them.
 * @param replace those that are there
 * @throws {UsageError} where it cannot be done; nothing is then left
 */
export function writeFiles(folder: string, files: readonly NewFile[], replace: boolean): void {
  const there = files.filter(({ name }) => exists(`${folder}/${name}`)).map(({ name }) => name);
  if (there.length > 0 && !replace) {
    throw new UsageError(
      `${folder} has ${there.join(", ")} already; --force replaces ${
        there.length > 1 ? "them" : "it"
      }, --dir chooses another folder`,
    );
  }
  const held = there.find((name) => Deno.lstatSync(`${folder}/${name}`).isDirectory);
  if (held !== undefined) {
    throw new UsageError(`${folder}/${held} is a folder; --dir chooses another place`);
  }
  const made: string[] = [];
  try {
    const top = missingAbove(folder);
    if (top !== undefined) made.push(top);
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const wrong = distrust(folder);
    if (wrong) throw new UsageError(`the folder ${folder} ${wrong}; --dir chooses another`);
    const moves = files.map(({ name, text, mode }) => {
      const beside = `${folder}/.${name}-${crypto.randomUUID()}`;
      made.push(beside);
      Deno.writeTextFileSync(beside, text, { createNew: true, mode });
      return [beside, `${folder}/${name}`] as const;
    });
    for (const [beside, path] of moves) Deno.renameSync(beside, path);
  } catch (error) {
    for (const path of made.reverse()) {
      try {
        Deno.removeSync(path, { recursive: true });
      } catch {
        // It was not made, or has its name already.
      }
    }
    if (error instanceof UsageError) throw error;
    throw new UsageError(
      `cannot write into ${folder}: ${messageOf(error)}; --dir chooses another folder`,
    );
  }
}

/** The highest folder of a path that is not there. */
function missingAbove(path: string): string | undefined {
  let missing: string | undefined;
  for (let at = path; at !== "" && !exists(at); at = at.slice(0, at.lastIndexOf("/"))) {
    missing = at;
  }
  return missing;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
