import config from "../deno.json" with { type: "json" };
import commit from "./commit.json" with { type: "json" };

/** The version in deno.json. */
export const VERSION: string = config.version;

/** The day of that version, which manual pages show. */
export const VERSION_DATE = "2026-11-21";

/** The Deno that this is made for and tested with. */
export const PINNED_DENO = "2.9.3";

/** The commit that this was built of; empty when it runs from source. */
export const COMMIT: string = commit.commit;

/** What runs: of which commit, empty where it runs from source, on which Deno, for which machine. */
export function versionParts() {
  const { version: { deno }, build: { target } } = Deno;
  return { version: VERSION, commit: COMMIT, deno, target };
}

/** `0.1.0 (commit, deno 2.9.3, x86_64-unknown-linux-gnu)`. `deno task build` writes the commit. */
export function versionLine(): string {
  const { version, commit, deno, target } = versionParts();
  return `${version} (${commit || "from source"}, deno ${deno}, ${target})`;
}

/**
 * Why this runtime must not run a control server; undefined for one that may.
 *
 * Before 2.7.14 node:http2 lacks what grpc-js needs; from 2.9.4 to 2.9.6 it dies in native code
 * when a client with parallel calls disconnects (denoland/deno#36788).
 */
export function runtimeFault(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map((part) => parseInt(part));
  const number = (major * 1000 + minor) * 1000 + patch;
  const advice = `use Deno ${PINNED_DENO}: npx -y deno@${PINNED_DENO}`;
  if (number < 2_007_014) return `Deno ${version} is too old for gRPC; ${advice}`;
  if (number >= 2_009_004 && number <= 2_009_006) {
    return `Deno ${version} crashes when gRPC clients disconnect (denoland/deno#36788); ${advice}`;
  }
  return undefined;
}
