/**
 * The smallest tar archive that `PUT /containers/{id}/archive` takes (POSIX.1-1988 ustar).
 * @module
 */
import { quote, ScistreamError } from "../protocol/errors.ts";

const BLOCK = 512;
const NAME_BYTES = 100;
/** Eleven octal digits. */
const MAX_FILE_BYTES = 8 ** 11 - 1;

/** A regular file. */
export interface TarFile {
  /** Relative, at most 100 bytes of UTF-8; the engine makes folders on the way. */
  name: string;
  /** Permission bits, such as 0o644. */
  mode: number;
  bytes: Uint8Array;
  /** User and group, by number; root if not given. */
  owner?: number;
  /** When it was changed, in seconds since 1970, which it is if not given. */
  time?: number;
}

/**
 * An archive of these files.
 * @throws {ScistreamError} BAD_FORMAT for a name that is too long or leads elsewhere
 */
export function tar(files: readonly TarFile[]): Uint8Array {
  const blocks = (bytes: number) => Math.ceil(bytes / BLOCK) * BLOCK;
  const size = files.reduce((sum, { bytes }) => sum + BLOCK + blocks(bytes.length), 0);
  // Two blocks of zeros are the end.
  const archive = new Uint8Array(size + 2 * BLOCK);
  let at = 0;
  for (const file of files) {
    archive.set(header(file), at);
    archive.set(file.bytes, at + BLOCK);
    at += BLOCK + blocks(file.bytes.length);
  }
  return archive;
}

function header({ name, mode, bytes, owner = 0, time = 0 }: TarFile): Uint8Array {
  const encoder = new TextEncoder();
  const path = encoder.encode(name);
  const parts = name.split("/");
  if (
    path.length > NAME_BYTES || name.includes("\0") ||
    parts.some((part) => part === "" || part === "." || part === "..")
  ) {
    throw new ScistreamError("BAD_FORMAT", `${quote(name)} cannot be a file's name in an archive`);
  }
  if (bytes.length > MAX_FILE_BYTES) {
    throw new ScistreamError("BAD_FORMAT", `${quote(name)} is too large for an archive`);
  }
  const block = new Uint8Array(BLOCK);
  const octal = (value: number, digits: number, at: number) =>
    block.set(encoder.encode(value.toString(8).padStart(digits, "0")), at);
  block.set(path, 0);
  octal(mode & 0o7777, 7, 100);
  octal(owner, 7, 108); // uid
  octal(owner, 7, 116); // gid
  octal(bytes.length, 11, 124);
  octal(time, 11, 136); // mtime
  block.fill(0x20, 148, 156); // The checksum counts itself as spaces.
  block.set(encoder.encode("0"), 156); // a regular file
  block.set(encoder.encode("ustar\x0000"), 257);
  octal(block.reduce((sum, byte) => sum + byte, 0), 6, 148);
  block[154] = 0;
  return block;
}
