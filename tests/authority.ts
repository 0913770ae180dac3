/**
 * A certificate authority of the tests' own, as whoever runs a Docker Engine over TCP makes one.
 * @module
 */
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

/** A certificate and its key, both PEM. */
export interface Identity {
  cert: string;
  key: string;
}

/** What a certificate says. */
export interface Claims {
  ips?: readonly string[];
  names?: readonly string[];
  use: "server" | "client";
  /** Days from now; yesterday's is -1. */
  until?: number;
}

/** Signs certificates. */
export class Authority {
  private constructor(
    readonly cert: string,
    readonly issuer: string,
    readonly keys: CryptoKeyPair,
  ) {}

  static async create(name: string): Promise<Authority> {
    const keys = await makeKeys();
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      ...dated(1),
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    return new Authority(`${made.toString("pem")}\n`, made.subject, keys);
  }

  async issue({ ips = [], names = [], use, until = 1 }: Claims): Promise<Identity> {
    const keys = await makeKeys();
    const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
    const made = await x509.X509CertificateGenerator.create({
      ...dated(until),
      subject: [{ CN: [use] }],
      issuer: this.issuer,
      signingKey: this.keys.privateKey,
      publicKey: keys.publicKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.ExtendedKeyUsageExtension([use === "server" ? serverAuth : clientAuth]),
        ...use === "client" ? [] : [
          new x509.SubjectAlternativeNameExtension([
            ...ips.map((value) => ({ type: "ip" as const, value })),
            ...names.map((value) => ({ type: "dns" as const, value })),
          ]),
        ],
      ],
    });
    const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
    return {
      cert: `${made.toString("pem")}\n`,
      key: `${x509.PemConverter.encode(key, "PRIVATE KEY")}\n`,
    };
  }
}

/** A folder as DOCKER_CERT_PATH names one. */
export function writeCertificates(folder: string, ca: string, { cert, key }: Identity): string {
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/ca.pem`, ca);
  Deno.writeTextFileSync(`${folder}/cert.pem`, cert);
  Deno.writeTextFileSync(`${folder}/key.pem`, key, { mode: 0o600 });
  return folder;
}

function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function dated(until: number) {
  const now = Date.now();
  return {
    serialNumber: crypto.getRandomValues(new Uint8Array(15)).toHex(),
    notBefore: new Date(now - 10 * DAY_MS),
    notAfter: new Date(now + until * DAY_MS),
  };
}
