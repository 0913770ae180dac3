/**
 * Which Docker Engine is meant: a flag, the variables that Docker's own client goes by, and the
 * certificates that they name.
 * @module
 */
import type { DockerHost, DockerTls, TcpHost } from "../docker/host.ts";
import { isLoopback } from "../protocol/address.ts";
import { parseHost, parsePort } from "../protocol/endpoint.ts";
import { messageOf, quote, ScistreamError } from "../protocol/errors.ts";
import { checkCertificate, checkKey } from "../protocol/pem.ts";
import { Secret } from "../protocol/secret.ts";
import { warnIfShared } from "./auth_flags.ts";

/** Where Docker listens unless told otherwise; a link to podman's where podman-docker is installed. */
export const DEFAULT_SOCKET = "/var/run/docker.sock";
const UNIX = "unix://";
const TCP = "tcp://";
/** As Docker has them (IANA: docker, docker-s). */
const PLAIN_PORT = 2375;
const TLS_PORT = 2376;
/** Certificates of many authorities are shorter. */
const MAX_FILE_BYTES = 1 << 20;

type Env = (name: string) => string | undefined;

/**
 * Where the engine is: as the flag says if it is given, else as DOCKER_HOST does (`unix:///path` or
 * `tcp://host:port`, docs.docker.com/engine/security/protect-access), else at Docker's own socket.
 * The flag may also be a plain path. Empty is unset. With DOCKER_TLS_VERIFY or DOCKER_CERT_PATH,
 * TCP is under TLS, and ca.pem, cert.pem and key.pem are read here, once.
 * @param warn is told of a key that others can read, and of a certificate that has expired
 * @throws {ScistreamError} NOT_IMPLEMENTED for other ways, BAD_FORMAT for what names no engine, for files
 * that cannot be used, and for an engine elsewhere without TLS
 */
export async function dockerHost(
  flag: string | undefined,
  env: Env,
  warn: (sentence: string) => void,
): Promise<DockerHost> {
  const value = flag || env("DOCKER_HOST");
  if (!value) return { kind: "unix", path: DEFAULT_SOCKET };
  const from = flag ? "--docker-socket" : "DOCKER_HOST";
  if (value.startsWith(TCP)) return await tcpHost(value, from, env, warn);
  return { kind: "unix", path: unixPath(value, from, from === "--docker-socket") };
}

function unixPath(value: string, from: string, plain: boolean): string {
  if (/^(?:https?|ssh|npipe|fd):/i.test(value)) {
    throw new ScistreamError(
      "NOT_IMPLEMENTED",
      `${from} is ${
        quote(value)
      }, but only engines at a Unix socket or a TCP port are supported; ` +
        `name it with ${plain ? "--docker-socket PATH, " : ""}unix:///PATH or tcp://HOST:PORT`,
    );
  }
  const path = value.startsWith(UNIX) ? value.slice(UNIX.length) : plain ? value : "";
  const wrong = value.startsWith(UNIX) ? !path.startsWith("/") : path.includes("://");
  if (path === "" || path.includes("\0") || wrong) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `${from} is ${quote(value)}, which names no engine; expected ` +
        `${plain ? "a socket's path, " : ""}unix:///PATH or tcp://HOST:PORT`,
    );
  }
  return path;
}

async function tcpHost(
  value: string,
  from: string,
  env: Env,
  warn: (sentence: string) => void,
): Promise<TcpHost> {
  const safe = Boolean(env("DOCKER_TLS_VERIFY") || env("DOCKER_CERT_PATH"));
  const { host, port = safe ? TLS_PORT : PLAIN_PORT } = address(value, from);
  if (safe) return { kind: "tcp", host, port, tls: await readTls(certificates(env), warn) };
  if (isLoopback(host)) return { kind: "tcp", host, port };
  throw new ScistreamError(
    "BAD_FORMAT",
    `${from} is ${quote(value)}, and without TLS whoever reaches that port is root on its host; ` +
      "start dockerd with --tlsverify, and set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to a folder " +
      "with ca.pem, cert.pem and key.pem (docs.docker.com/engine/security/protect-access)",
  );
}

function address(value: string, from: string): { host: string; port?: number } {
  // A slash at the end is what others write, too.
  const [, host, port] = /^(\[[^\]]*\]|[^:/]*)(?::([^/]*))?\/?$/.exec(value.slice(TCP.length)) ??
    [];
  if (!host) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `${from} is ${quote(value)}, which names no engine; expected tcp://HOST:PORT`,
    );
  }
  return {
    host: parseHost(host, `host of ${from}`),
    ...port === undefined ? {} : { port: parsePort(port, `port of ${from}`) },
  };
}

/** Where Docker's own client looks for them. */
function certificates(env: Env): string {
  const given = env("DOCKER_CERT_PATH");
  if (given) return given.length > 1 ? given.replace(/\/+$/, "") : given;
  const home = env("HOME");
  if (home) return `${home}/.docker`;
  throw new ScistreamError(
    "BAD_FORMAT",
    "DOCKER_TLS_VERIFY is set, and neither DOCKER_CERT_PATH nor HOME tells where the certificates are",
  );
}

async function readTls(folder: string, warn: (sentence: string) => void): Promise<DockerTls> {
  const read = async (name: string) => {
    const pem = await readBounded(`${folder}/${name}`);
    return { name: `${folder}/${name}`, pem };
  };
  const [ca, cert, key] = [await read("ca.pem"), await read("cert.pem"), await read("key.pem")];
  for (const { pem, name } of [ca, cert]) {
    const doubt = checkCertificate(pem, name);
    if (doubt) warn(`${doubt}: the Docker Engine will not be reached with it`);
  }
  // A key of another certificate would be a panic of the runtime's later, or a refusal without words.
  checkKey(cert, key);
  await warnIfShared(key.name, (sentence) => warn(`WARNING: the Docker Engine's key ${sentence}`));
  const text = ({ pem }: { pem: Uint8Array }) => new TextDecoder().decode(pem);
  return { folder, ca: text(ca), cert: text(cert), key: new Secret(text(key)) };
}

async function readBounded(path: string): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(MAX_FILE_BYTES + 1);
    let size = 0;
    for (let n; size < bytes.length && (n = await file.read(bytes.subarray(size))) !== null;) {
      size += n;
    }
    if (size <= MAX_FILE_BYTES) return bytes.slice(0, size);
  } catch (error) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `cannot read ${path}, which TLS to the Docker Engine needs: ${messageOf(error)}; ` +
        "set DOCKER_CERT_PATH to a folder with ca.pem, cert.pem and key.pem",
    );
  }
  throw new ScistreamError(
    "BAD_FORMAT",
    `${path} has over ${MAX_FILE_BYTES} bytes, which no certificate has`,
  );
}
