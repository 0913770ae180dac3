/**
 * Inputs that are kept: a folder for each target, a file for each input, named by its SHA-256.
 * @module
 */
import { createHash } from "node:crypto";

const FOLDER = new URL("./corpus/", import.meta.url);

/** A target's inputs, in the order of their names; none if there is no folder. */
export function readCorpus(target: string): Uint8Array[] {
  const folder = new URL(`${target}/`, FOLDER);
  try {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    return names.map((name) => Deno.readFileSync(new URL(name, folder)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Keeps an input; answers the path of its file, from the project's folder. */
export function keep(target: string, input: Uint8Array): string {
  const folder = new URL(`${target}/`, FOLDER);
  const name = createHash("sha256").update(input).digest("hex").slice(0, 8);
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeFileSync(new URL(name, folder), input);
  return `tests/fuzz/corpus/${target}/${name}`;
}

/** The folders that are there. */
export function corpusNames(): string[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort();
}
