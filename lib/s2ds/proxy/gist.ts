import type { Job } from "./proxy.ts";

/** What matters of a proxy's last lines, without the folder's path. */
export function gist(lines: readonly string[], { folder, proxy }: Job): string {
  const told = lines.filter((line) =>
    /alert|emerg|error|fail|LOG[0-3]|in use|cannot|denied/i.test(line)
  );
  const last = (told.length > 0 ? told : lines).filter(Boolean).slice(-3);
  const text = last.join("; ").replaceAll(`${folder}/`, "").replaceAll("/proc/self/cwd/", "")
    .replaceAll(`${proxy.configFolder}/`, "");
  return text.slice(0, 600) || "it said nothing";
}
