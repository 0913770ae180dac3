/**
 * What can go wrong between here and the Docker Engine, each with what to do about it.
 * @module
 */
import { messageOf, quote, ScistreamError } from "../protocol/errors.ts";
import { dockerStatus } from "./podman.ts";

/**
 * - `unreachable`: nobody answers at the socket, or stopped answering half-way. Trying again may help.
 * - `permission`: the socket is there and may not be used.
 * - `no-image`: the engine does not have the image.
 * - `engine`: the engine refused, or answered what makes no sense; `httpStatus` tells the two apart.
 */
export type DockerErrorKind = "unreachable" | "permission" | "no-image" | "engine";

/** A failed call of the Docker Engine. Its code is `CONN_ERROR`. */
export class DockerError extends ScistreamError {
  /** The answer's status if the engine answered with one that is an error; as Docker has it. */
  readonly httpStatus: number | undefined;

  constructor(
    readonly kind: DockerErrorKind,
    sentence: string,
    options: { httpStatus?: number; cause?: unknown } = {},
  ) {
    super("CONN_ERROR", sentence, options);
    this.httpStatus = options.httpStatus;
  }
}

/** Longest message of an engine that is shown; some hold a whole command's output. */
const LONGEST_MESSAGE = 1_000;

/** A message of the engine on one line, without control characters. */
export function oneLine(text: string): string {
  const line = text.trim().replace(/\p{Cc}+|[\u2028\u2029]/gu, " ");
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}…` : line;
}

/**
 * What a failed connect to the socket means. A missing permission of Deno's (NotCapable) is not the
 * engine's affair and comes back as it is.
 */
export function connectError(socket: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotCapable) return error;
  if (error instanceof Deno.errors.PermissionDenied) {
    return new DockerError(
      "permission",
      `no permission to use the Docker Engine's socket ${quote(socket)}; ` +
        "run s2cs as a member of the socket's group (usually docker: usermod -aG docker USER, " +
        "then log in again); whoever may use this socket is root on this host",
      { cause: error },
    );
  }
  return new DockerError(
    "unreachable",
    `the Docker Engine is not reachable at ${quote(socket)}: ${connectReason(error)}; ` +
      "start it (systemctl start docker) or name its socket with --docker-socket or DOCKER_HOST",
    { cause: error },
  );
}

function connectReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such socket";
  if (error instanceof Deno.errors.ConnectionRefused) {
    return "connection refused, nobody listens there";
  }
  return messageOf(error);
}

/** The engine does not have the image that a container was to be made of. */
export function noImage(image: string, httpStatus: number, cause?: unknown): DockerError {
  // A reference with a digest is longer than quote() shows, and a cut one cannot be pulled.
  const plain = /^[\w.:\/@-]{1,300}$/.test(image);
  const name = plain ? image : quote(image);
  return new DockerError(
    "no-image",
    `no such image ${
      plain ? `"${image}"` : name
    } on this engine; get it with docker pull ${name}, ` +
      "scripts/images.sh builds it from Debian's packages, or name another with --image",
    { httpStatus, cause },
  );
}

/** The engine answered with an error; `what` completes "refused to …". */
export function refused(what: string, httpStatus: number, message: string): DockerError {
  const said = oneLine(message) || "it does not say why";
  return new DockerError(
    "engine",
    `the Docker Engine refused to ${what}: ${said} (HTTP status ${httpStatus})`,
    { httpStatus: dockerStatus(httpStatus, message) },
  );
}
