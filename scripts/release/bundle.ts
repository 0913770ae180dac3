/**
 * A release archive: the executable for one kind of machine, and what is installed with it.
 * @module
 */
import { gzipSync } from "node:zlib";
import { tar, type TarFile } from "../../lib/docker/tar.ts";

/** Files and folders of the sources that go along, where there are any, and their names there. */
const ALONG: readonly [from: string, to: string][] = [
  ["LICENSE", "LICENSE"],
  ["README.md", "README.md"],
  ["docs/install.md", "docs/install.md"],
  ["scripts/install.sh", "install.sh"],
  ["scripts/systemd", "systemd"],
  ["completions", "completions"],
  ["man", "man"],
];

/**
 * A `.tar.gz` with the folder `name`: the executable, and what goes along from the sources `tree`
 * (with `/` at its end). The same files and `time`, in seconds since 1970, give the same bytes.
 */
export function bundle(
  tree: string,
  executable: Uint8Array,
  name: string,
  time: number,
): Uint8Array<ArrayBuffer> {
  const files = ALONG.flatMap(([from, to]) => filesOf(tree, from, to));
  files.push({ name: "scistream", mode: 0o755, bytes: executable });
  files.sort((a, b) => a.name < b.name ? -1 : 1);
  return gzip(tar(files.map((file) => ({ ...file, name: `${name}/${file.name}`, time }))));
}

/** Compressed without name and time. */
export function gzip(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes, { level: 9 }));
}

function filesOf(tree: string, from: string, to: string): TarFile[] {
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(tree + from);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  if (found.isDirectory) {
    return [...Deno.readDirSync(tree + from)].flatMap(({ name }) =>
      filesOf(tree, `${from}/${name}`, `${to}/${name}`)
    );
  }
  const mode = (found.mode ?? 0) & 0o100 ? 0o755 : 0o644;
  return [{ name: to, mode, bytes: Deno.readFileSync(tree + from) }];
}
