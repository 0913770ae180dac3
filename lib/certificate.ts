/**
 * Self-signed server certificates, as the tutorial makes them with openssl.
 * @module
 */
import * as x509 from "@peculiar/x509";

/** Whom a certificate is for, and for how long. */
export interface CertificateOptions {
  /** IPv4 and IPv6 addresses. */
  ips: readonly string[];
  /** DNS names. */
  names: readonly string[];
  /** How long it is valid. */
  days: number;
}

/** A certificate and its key, both PEM (RFC 7468). */
export interface Certificate {
  /** The certificate. */
  cert: string;
  /** Its private key, PKCS #8. */
  key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Makes a P-256 key and a self-signed server certificate for these addresses and names. */
export async function makeCertificate(options: CertificateOptions): Promise<Certificate> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const subject = options.ips[0] ?? options.names[0] ?? "scistream";
  const now = Date.now();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: crypto.getRandomValues(new Uint8Array(16)).toHex(),
    name: [{ CN: [subject] }],
    // A peer's clock may be a little behind.
    notBefore: new Date(now - 300_000),
    notAfter: new Date(now + options.days * 86_400_000),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        ...options.ips.map((value) => ({ type: "ip" as const, value })),
        ...options.names.map((value) => ({ type: "dns" as const, value })),
      ]),
      // It is its own root: peers are given the certificate itself.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: cert.toString("pem") + "\n",
    key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") + "\n",
  };
}
