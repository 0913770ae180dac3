/**
 * Where the Docker Engine's socket is.
 * @module
 */
import { quote, ScistreamError } from "../protocol/errors.ts";

/** Where Docker listens unless told otherwise; a link to podman's where podman-docker is installed. */
export const DEFAULT_SOCKET = "/var/run/docker.sock";
const UNIX = "unix://";

/**
 * The path of the engine's socket: the flag's if there is one, else DOCKER_HOST's (`unix:///path`,
 * docs.docker.com/engine/security/protect-access), else Docker's own. Both may be a `unix://` URL, the
 * flag also a plain path. Empty is unset.
 * @throws {ScistreamError} NOT_IMPLEMENTED for engines elsewhere, BAD_FORMAT for what is no socket
 */
export function dockerSocket(
  flag: string | undefined,
  env: (name: string) => string | undefined,
): string {
  const host = env("DOCKER_HOST");
  if (flag) return unixPath(flag, "--docker-socket", true);
  if (host) return unixPath(host, "DOCKER_HOST", false);
  return DEFAULT_SOCKET;
}

function unixPath(value: string, from: string, plain: boolean): string {
  if (/^(?:tcp|https?|ssh|npipe|fd):/i.test(value)) {
    throw new ScistreamError(
      "NOT_IMPLEMENTED",
      `${from} is ${quote(value)}, but only engines at a Unix socket of this host are supported; ` +
        `name it with ${plain ? "" : "--docker-socket PATH or DOCKER_HOST="}unix:///PATH`,
    );
  }
  const path = value.startsWith(UNIX) ? value.slice(UNIX.length) : plain ? value : "";
  const wrong = value.startsWith(UNIX) ? !path.startsWith("/") : path.includes("://");
  if (path === "" || path.includes("\0") || wrong) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `${from} is ${quote(value)}, which names no Unix socket; expected ` +
        (plain ? "its path" : "unix:///PATH"),
    );
  }
  return path;
}
