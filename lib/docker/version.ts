/**
 * Which version of the Engine API is spoken.
 * @module
 */
import { quote } from "../protocol/errors.ts";
import { DockerError, refused } from "./errors.ts";
import { errorMessage } from "./shape.ts";
import type { Transport } from "./transport.ts";

/** Of Docker 20.10, and what podman says of itself. */
const OLDEST = 41;
/** The newest whose changes were looked at (docs.docker.com/reference/api/engine/version-history). */
const NEWEST = 47;

/**
 * Asks the engine (`GET /_ping`, header Api-Version) and chooses the lower of its version and ours.
 * @throws {DockerError} if it is too old, or does not say
 */
export async function negotiate(transport: Transport): Promise<string> {
  const what = "tell its API version";
  const { status, headers, body } = await transport.open(what, { method: "GET", path: ["_ping"] });
  const bytes = await transport.whole(body, what);
  if (status !== 200) throw refused(what, status, errorMessage(bytes));
  return choose(headers.get("api-version"));
}

/** What to speak with an engine that says this of itself. */
export function choose(theirs: string | undefined): string {
  const minor = /^1\.(\d{1,4})$/.exec(theirs ?? "")?.[1];
  if (minor === undefined) {
    throw new DockerError(
      "engine",
      `the Docker Engine does not say which 1.x API it has, but ${quote(theirs ?? "")}`,
    );
  }
  if (Number(minor) < OLDEST) {
    throw new DockerError(
      "engine",
      `the Docker Engine has API ${quote(theirs ?? "")}, at least 1.${OLDEST} is needed; ` +
        "update it to Docker 20.10 or podman 4 or newer",
    );
  }
  return `1.${Math.min(Number(minor), NEWEST)}`;
}
