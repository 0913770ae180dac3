/**
 * Checks of the control server's certificate and key.
 * @module
 */
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { ownAddresses } from "../machine.ts";
import { messageOf } from "../protocol/errors.ts";
import { checkCertificate, checkKey } from "../protocol/pem.ts";
import { type Check, fail, failed, type Finding, ok, skip, warn } from "./check.ts";

/** Where they are, and whom they must be for. */
export interface CertificateSettings {
  ssl: boolean;
  serverCrt: string;
  serverKey: string;
  listenerIp: string;
  wanIp?: string;
}

/** Time enough to make a new one and to take it to everybody. */
const SOON_DAYS = 30;
const DAY_MS = 86_400_000;
const WILDCARDS = ["0.0.0.0", "::"];

/** `certificate`: readable, valid and for the addresses that clients use; `key`: readable by its owner alone, and its own. */
export function certificateChecks(settings: CertificateSettings): Check[] {
  const clear = (): Finding => skip("--ssl=False: calls go in the clear, never across a network");
  return [
    {
      name: "certificate",
      look: async (signal) => settings.ssl ? await certificate(settings, signal) : clear(),
    },
    { name: "key", look: async () => settings.ssl ? await key(settings) : clear() },
  ];
}

/** Whether a client that uses this host takes the certificate for its server's. */
export function covers(certificate: X509Certificate, host: string): boolean {
  return (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
}

/** The command that makes a certificate and key in place of these. */
function remake({ serverCrt, serverKey }: CertificateSettings, hosts: readonly string[]): string {
  const words = (hosts.length > 0 ? hosts : ["ADDRESS"]).map((host) =>
    isIP(host) || host === "ADDRESS" ? `--ip ${host}` : `--dns ${host}`
  );
  return `scistream cert ${
    words.join(" ")
  } --out-crt ${serverCrt} --out-key ${serverKey} --force, then copy the certificate to whoever talks to this gateway`;
}

async function certificate(settings: CertificateSettings, signal: AbortSignal): Promise<Finding> {
  const { serverCrt: path, listenerIp, wanIp } = settings;
  const own = await ownAddresses(signal);
  const said = [listenerIp, wanIp].filter((host) => host !== undefined)
    .filter((host) => !WILDCARDS.includes(host));
  const advice = remake(settings, said.length > 0 ? said : own);
  let pem: Uint8Array;
  try {
    pem = await Deno.readFile(path);
  } catch (error) {
    return fail(`${path} cannot be read: ${messageOf(error)}`, advice);
  }
  let doubt: string | undefined;
  try {
    doubt = checkCertificate(pem, path);
  } catch (error) {
    return fail(messageOf(error), advice);
  }
  if (doubt) return fail(doubt, advice);
  const parsed = new X509Certificate(Buffer.from(pem));
  const names = (parsed.subjectAltName ?? "nobody").replaceAll("IP Address:", "")
    .replaceAll("DNS:", "");
  const missing = said.filter((host) => !covers(parsed, host));
  const found = `${path} is for ${names}`;
  const reached = [...said, ...own].some((host) => covers(parsed, host));
  if (!reached && !/DNS:/.test(parsed.subjectAltName ?? "")) {
    return fail(
      `${found}, and this machine has no such address: clients refuse it`,
      advice,
    );
  }
  if (missing.length > 0) {
    return warn(
      `${found}, and not for ${missing.join(", ")}: clients that use that refuse it`,
      advice,
    );
  }
  const days = Math.floor((Date.parse(parsed.validTo) - Date.now()) / DAY_MS);
  if (days < SOON_DAYS) return warn(`${path} expires in ${days} days`, advice);
  return ok(`${found}, valid for ${days} days`);
}

async function key(settings: CertificateSettings): Promise<Finding> {
  const { serverCrt, serverKey } = settings;
  const advice = remake(settings, []);
  let pem: Uint8Array;
  try {
    pem = await Deno.readFile(serverKey);
  } catch (error) {
    return fail(
      `${serverKey} cannot be read: ${messageOf(error)}`,
      `run this as the user that runs s2cs, or ${advice}`,
    );
  }
  const cert = await Deno.readFile(serverCrt).catch(() => undefined);
  if (cert === undefined) return skip(`there is no certificate for ${serverKey} to fit to`);
  try {
    checkKey({ pem: cert, name: serverCrt }, { pem, name: serverKey });
  } catch (error) {
    return fail(messageOf(error), advice);
  }
  return await shared(serverKey) ?? ok(`${serverKey} is the certificate's`);
}

/** A secret's file that others can read, if so; a group may, which is how Debian keeps keys. */
export async function shared(path: string): Promise<Finding | undefined> {
  const { mode } = await Deno.stat(path);
  if (((mode ?? 0) & 0o007) !== 0) {
    return warn(
      `${path} can be read by other users of this machine`,
      `chmod 600 ${path}, and make a new one: this one may be known`,
    );
  }
  if (((mode ?? 0) & 0o020) !== 0) {
    return warn(`${path} can be written to by a group of this machine`, `chmod g-w ${path}`);
  }
}

/** The file with the client's secret. */
export function secretCheck(clientSecretFile: string | undefined): Check {
  return {
    name: "client-secret",
    async look() {
      if (clientSecretFile === undefined) return skip("no --client-secret-file");
      try {
        const secret = await Deno.readTextFile(clientSecretFile);
        if (secret.trim() === "") {
          return fail(`${clientSecretFile} is empty`, "put the client's secret there");
        }
      } catch (error) {
        return failed(
          new Error(
            `${clientSecretFile} cannot be read: ${
              messageOf(error)
            }; put the client's secret there, for the user that runs s2cs (chmod 600)`,
          ),
        );
      }
      return await shared(clientSecretFile) ?? ok(`${clientSecretFile} holds a secret`);
    },
  };
}
