import type { Job } from "./proxy.ts";

/** Characters of a program's last words that are told. */
const LONGEST = 600;

/** What matters of a program's last lines: those that tell of something wrong, or the last ones. */
export function gistOf(
  lines: readonly string[],
  shorten: (text: string) => string = (text) => text,
): string {
  const told = lines.filter((line) =>
    /alert|emerg|error|fail|LOG[0-3]|in use|cannot|denied/i.test(line)
  );
  const last = (told.length > 0 ? told : lines).filter(Boolean).slice(-3);
  return shorten(last.join("; ")).slice(0, LONGEST) || "it said nothing";
}

/** The same of a session's proxy, without the folder's path. */
export function gist(lines: readonly string[], { folder, proxy }: Job): string {
  return gistOf(lines, (text) =>
    text.replaceAll(`${folder}/`, "").replaceAll("/proc/self/cwd/", "")
      .replaceAll(`${proxy.configFolder}/`, ""));
}
