/**
 * What a gateway proves itself with to the other gateway of a session. Both derive the same
 * certificate authority from the session's secret, so whoever shows a certificate of it knows the
 * uid. docs/data-channel.md has the design.
 * @module
 */
import * as x509 from "@peculiar/x509";
import { type Credentials, derive, LEAF_MS, SERVER_NAME, type Side } from "./secret.ts";

/** How far behind the other gateway's clock may be. */
const SKEW_MS = 3600_000;

const LEAF_ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const CA_NAME = "CN=SciStream session";
/** RFC 8410, section 7: PKCS #8 of an Ed25519 key, up to the 32 bytes that are the key. */
const ED25519_PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");

/** A fresh key with a short-lived certificate of the authority that this secret means. */
export async function makeCredentials(
  secret: Uint8Array,
  side: Side,
  now = Date.now(),
): Promise<Credentials> {
  const authority = await makeAuthority(secret);
  const keys = await crypto.subtle.generateKey(LEAF_ALGORITHM, true, ["sign", "verify"]);
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "CN=SciStream gateway",
    issuer: CA_NAME,
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(now + LEAF_MS),
    signingAlgorithm: { name: "Ed25519" },
    publicKey: keys.publicKey,
    signingKey: authority.key,
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        side === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: SERVER_NAME }]),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    ca: authority.cert,
    cert: leaf.toString("pem"),
    key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
  };
}

/** The same, byte for byte, wherever it is made: everything in it is fixed or derived. */
async function makeAuthority(secret: Uint8Array): Promise<{ cert: string; key: CryptoKey }> {
  const seed = derive(secret, "certificate authority");
  const pkcs8 = new Uint8Array([...ED25519_PKCS8, ...seed]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const jwk = { kty: "OKP", crv: "Ed25519", x };
  const publicKey = await crypto.subtle.importKey("jwk", jwk, { name: "Ed25519" }, true, [
    "verify",
  ]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: CA_NAME,
    notBefore: new Date("2020-01-01T00:00:00Z"),
    notAfter: new Date("2120-01-01T00:00:00Z"),
    signingAlgorithm: { name: "Ed25519" },
    keys: { privateKey: key, publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return { cert: cert.toString("pem"), key };
}

/** Positive, as RFC 5280 asks (4.1.2.2). */
function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] as number) & 0x7f | 0x40;
  return bytes.toHex();
}
