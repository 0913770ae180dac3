/**
 * Folders that hold secrets: nobody but this user, and root, may read them or put something else in
 * their place. Of the user's own files the system's modes take care; what somebody else has prepared
 * beforehand, in a folder that both may write to, is what has to be looked for.
 * @module
 */
import { messageOf, ScistreamError } from "./protocol/errors.ts";

/** A path of more symbolic links is a circle (MAXSYMLINKS of Linux). */
const MOST_LINKS = 40;
/** Others of the group, and all others, may write. */
const OTHERS_WRITE = 0o022;
/**
 * All others may write. On the way to a folder that is what counts: Ubuntu's /var/log is its group's to
 * write to, and so are the folders of a user with a group of its own and umask 002.
 */
const ALL_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * Makes the folder `path/name`, for this user alone, and whatever is missing above it.
 * @param advice what to do where it cannot be trusted
 * @returns where it is
 * @throws {ScistreamError} BAD_FORMAT where somebody else could read what is in it, or replace it
 */
export function makePrivateFolder(path: string, name: string, advice: string): string {
  const folder = `${path}/${name}`;
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    const wrong = distrust(path);
    if (wrong) throw new ScistreamError("BAD_FORMAT", `the folder ${path} ${wrong}; ${advice}`);
    // Now that nobody else can put anything there, what is there is ours.
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    Deno.chmodSync(folder, 0o700);
    return folder;
  } catch (error) {
    if (error instanceof ScistreamError) throw error;
    throw new ScistreamError(
      "BAD_FORMAT",
      `cannot make the folder ${folder}: ${messageOf(error)}; ${advice}`,
    );
  }
}

/**
 * Why this folder is not this user's own, if so: the end of a sentence.
 * @throws {Error} when it cannot be looked at, or not be written to
 */
export function distrust(path: string): string | undefined {
  const real = Deno.realPathSync(path);
  const { uid, mode } = Deno.statSync(real);
  if (((mode ?? 0) & OTHERS_WRITE) !== 0) {
    return `can be written to by other users (mode ${octal(mode)}): chmod go-w it`;
  }
  const own = whoAmI(real);
  if (uid !== own) {
    return `belongs to user ${uid}, and this is user ${own}`;
  }
  return distrustWay(path, own);
}

/**
 * Why what a path leads to is in somebody else's hands, if so: a folder on the way that others could
 * rename things in, or a symbolic link that they made.
 */
export function distrustWay(path: string, own: number | null): string | undefined {
  // Root's. In a user namespace root may have another number.
  const { uid: system } = Deno.statSync("/");
  const trusted = (uid: number | null) => uid === system || uid === 0 || uid === own;
  let at = "";
  const ahead = absolute(path).split("/").filter(Boolean);
  for (let links = 0; ahead.length > 0;) {
    const word = ahead.shift() as string;
    if (word === ".") continue;
    if (word === "..") {
      at = at.slice(0, at.lastIndexOf("/"));
      continue;
    }
    const next = `${at}/${word}`;
    const info = Deno.lstatSync(next);
    if (!trusted(info.uid)) return `is not safe: ${next} belongs to user ${info.uid}`;
    if (info.isSymlink) {
      if (++links > MOST_LINKS) return "is a circle of symbolic links";
      const to = Deno.readLinkSync(next);
      if (to.startsWith("/")) at = "";
      ahead.unshift(...to.split("/").filter(Boolean));
      continue;
    }
    const mode = info.mode ?? 0;
    if (info.isDirectory && (mode & ALL_WRITE) !== 0 && (mode & STICKY) === 0) {
      return `is not safe: other users can replace what is in ${next} (mode ${octal(mode)})`;
    }
    at = next;
  }
}

/**
 * Why a file that is to be written to, or is yet to be made, is in somebody else's hands, if so.
 * @throws {Error} when its folder cannot be looked at
 */
export function distrustFile(path: string, own: number | null): string | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const cut = path.lastIndexOf("/");
    // A symbolic link to nowhere is on the way too.
    return distrustWay(isThere(path) ? path : cut < 0 ? "." : path.slice(0, cut), own);
  }
  if (!info.isFile) return "it is not a file";
  if (((info.mode ?? 0) & OTHERS_WRITE) !== 0) {
    return `other users can write to it (mode ${octal(info.mode)}): chmod go-w it`;
  }
  return distrustWay(path, own);
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The user that this process is: whoever owns a file that it makes. To ask takes a permission. */
export function whoAmI(folder: string): number | null {
  const path = `${folder}/.owner-${crypto.randomUUID()}`;
  using file = Deno.openSync(path, { createNew: true, write: true, mode: 0o600 });
  Deno.removeSync(path);
  return file.statSync().uid;
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function octal(mode: number | null): string {
  return ((mode ?? 0) & 0o7777).toString(8);
}
