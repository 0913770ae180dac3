/**
 * Certificates and keys from outside, checked before TLS takes them: it would only fail later, at
 * the first handshake, with words of its own.
 * @module
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { messageOf, ScistreamError } from "./errors.ts";

/**
 * Checks that this is a PEM certificate; of several the first is looked at.
 * @param name of the file, for messages
 * @returns why it should not be used now, such as its expiry; undefined for nothing
 * @throws {ScistreamError} BAD_FORMAT
 */
export function checkCertificate(pem: Uint8Array, name: string): string | undefined {
  const certificate = parse(pem, name);
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (to < Date.now()) return `${name} expired on ${certificate.validTo}`;
  if (from > Date.now()) return `${name} is valid only from ${certificate.validFrom}`;
  return undefined;
}

/** When a PEM certificate expires; of several the first. Milliseconds since 1970 UTC. */
export function expiryOf(pem: Uint8Array): number {
  return Date.parse(parse(pem, "the certificate").validTo);
}

/**
 * Checks that the private key is one, and the certificate's.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function checkKey(
  cert: { pem: Uint8Array; name: string },
  key: { pem: Uint8Array; name: string },
): void {
  let parsed: ReturnType<typeof createPrivateKey>;
  try {
    parsed = createPrivateKey(Buffer.from(key.pem));
  } catch {
    throw new ScistreamError("BAD_FORMAT", `${key.name} holds no PEM private key`);
  }
  if (!parse(cert.pem, cert.name).checkPrivateKey(parsed)) {
    throw new ScistreamError("BAD_FORMAT", `${key.name} is not the key of ${cert.name}`);
  }
}

function parse(pem: Uint8Array, name: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(pem));
  } catch (error) {
    throw new ScistreamError("BAD_FORMAT", `${name} holds no PEM certificate: ${messageOf(error)}`);
  }
}
