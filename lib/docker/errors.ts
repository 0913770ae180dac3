/**
 * What can go wrong between here and the Docker Engine, each with what to do about it.
 * @module
 */
import { messageOf, oneLine, quote, ScistreamError } from "../protocol/errors.ts";
import { type DockerHost, nameOf, type TcpHost } from "./host.ts";
import { dockerStatus } from "./podman.ts";
import { type SwarmErrorKind, swarmKind } from "./swarm_errors.ts";

/**
 * - `unreachable`: nobody answers there, stopped answering half-way, or is not who it should be. Trying
 *   again may help.
 * - `permission`: the socket is there and may not be used, or our certificate is not taken.
 * - `no-image`: the engine does not have the image.
 * - `too-long`: the answer is longer than is taken as a whole; ask for a part of it.
 * - `engine`: the engine refused, or answered what makes no sense; `httpStatus` tells the two apart.
 * - Those of {@linkcode SwarmErrorKind}, of Swarm mode alone.
 */
export type DockerErrorKind =
  | "unreachable"
  | "permission"
  | "no-image"
  | "too-long"
  | "engine"
  | SwarmErrorKind;

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

export { oneLine };

/**
 * What a failed connect means, or TLS that was refused: with TLS 1.3 that comes with the first read. A
 * missing permission of Deno's (NotCapable) is not the engine's affair and comes back as it is.
 */
export function connectError(host: DockerHost, error: unknown): unknown {
  if (error instanceof Deno.errors.NotCapable) return error;
  const tls = host.kind === "tcp" ? tlsError(host, error) : undefined;
  if (tls) return tls;
  if (host.kind === "unix" && error instanceof Deno.errors.PermissionDenied) {
    return new DockerError(
      "permission",
      `no permission to use the Docker Engine's socket ${quote(host.path)}; ` +
        "run s2cs as a member of the socket's group (usually docker: usermod -aG docker USER, " +
        "then log in again); whoever may use this socket is root on this host",
      { cause: error },
    );
  }
  return unreachable(host, connectReason(error), error);
}

/** Nobody answers there. */
export function unreachable(host: DockerHost, reason: string, cause?: unknown): DockerError {
  const advice = host.kind === "unix"
    ? "start it (systemctl start docker) or name its socket with --docker-socket or DOCKER_HOST"
    : "look whether dockerd listens there (--tlsverify --host tcp://…) and a firewall lets this " +
      "host in, or name another with --docker-socket or DOCKER_HOST";
  return new DockerError(
    "unreachable",
    `the Docker Engine is not reachable at ${quote(nameOf(host))}: ${reason}; ${advice}`,
    { cause },
  );
}

function connectReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such socket";
  const code = codeOf(error);
  if (error instanceof Deno.errors.ConnectionRefused || code === "ECONNREFUSED") {
    return "connection refused, nobody listens there";
  }
  if (code === "ENOTFOUND" || code.startsWith("EAI_")) return "there is no host of this name";
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return "there is no route to it";
  return messageOf(error);
}

/** What TLS says with codes of its own, and what to do about it; undefined for all else. */
export function tlsError(host: TcpHost, error: unknown): DockerError | undefined {
  const { folder } = host.tls ?? {};
  if (folder === undefined) return undefined;
  const [code, said] = [codeOf(error), messageOf(error)];
  const at = `the Docker Engine at ${quote(nameOf(host))}`;
  const made = (kind: DockerErrorKind, sentence: string) =>
    new DockerError(kind, sentence, { cause: error });
  if (/fatal alert/.test(said)) {
    return made(
      "permission",
      `${at} refuses the certificate ${folder}/cert.pem (${said}); ` +
        "it takes those of the authority that dockerd was given with --tlscacert, while they are valid",
    );
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return made(
      "unreachable",
      `${at} has a certificate of another name (${said}); name the engine as its certificate does, ` +
        "or make it one with this name or address (subjectAltName)",
    );
  }
  // Deno 2.9.3 says the same of one that has expired.
  if (/^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_CERT_)/.test(code)) {
    return made(
      "unreachable",
      `${at} has a certificate that is of no authority in ${folder}/ca.pem, or has expired (${said}); ` +
        "copy ca.pem from who made the engine's certificate, or give dockerd another (--tlscert)",
    );
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    return made("unreachable", `what answers at ${quote(nameOf(host))} does not speak TLS`);
  }
  return undefined;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
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
    swarmKind(message) ?? "engine",
    `the Docker Engine refused to ${what}: ${said} (HTTP status ${httpStatus})`,
    { httpStatus: dockerStatus(httpStatus, message) },
  );
}
