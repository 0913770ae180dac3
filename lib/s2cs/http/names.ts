/**
 * Whom a request means, and from which page it comes: a page of somebody else's that a browser shows
 * must neither read this server under a name of its own (DNS rebinding) nor make it do anything (CSRF).
 * @module
 */
import { X509Certificate } from "node:crypto";
import { Buffer } from "node:buffer";
import { isLoopback } from "../../protocol/address.ts";
import type { Asked } from "./listen.ts";

/** Names of this server. */
export class Names {
  readonly #host: string;
  #certified: string[] = [];

  /** @param host where it listens; @param cert PEM, of a server with TLS */
  constructor(host: string, cert?: Uint8Array) {
    this.#host = host.toLowerCase();
    this.renew(cert);
  }

  /** Takes the names of another certificate. */
  renew(cert?: Uint8Array): void {
    this.#certified = cert ? namesOf(cert) : [];
  }

  /** Whether a Host header, `name[:port]`, means this server; by whichever port it was reached. */
  mean(host: string): boolean {
    const name = host.toLowerCase().replace(/:\d{1,5}$/, "").replace(/^\[(.*)\]$/, "$1");
    return isLoopback(name) || name === this.#host ||
      this.#certified.some((each) =>
        each === name ||
        each.startsWith("*.") && name.split(".").slice(1).join(".") === each.slice(2)
      );
  }
}

/**
 * Whether something may be done that this request asks for: it comes from a page of this server.
 * A program that shows its own token is nobody's page, and says no origin.
 */
export function isFromHere(asked: Asked, hasToken: boolean): boolean {
  const origin = asked.header("origin");
  if (origin === "") return hasToken;
  const site = asked.header("sec-fetch-site");
  if (site !== "" && site !== "same-origin" && site !== "none") return false;
  try {
    return new URL(origin).host === new URL(`http://${asked.header("host")}`).host ||
      new URL(origin).host === new URL(`https://${asked.header("host")}`).host;
  } catch {
    return false;
  }
}

function namesOf(cert: Uint8Array): string[] {
  const { subjectAltName = "" } = new X509Certificate(Buffer.from(cert));
  return (subjectAltName ?? "").split(", ").flatMap((each) => {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(each)?.[1];
    return name ? [name.toLowerCase()] : [];
  });
}
