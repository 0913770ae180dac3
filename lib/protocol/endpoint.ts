import { isIPv4, isIPv6 } from "node:net";
import { quote, ScistreamError } from "./errors.ts";

const LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

function bad(what: string, why: string): ScistreamError {
  return new ScistreamError("BAD_FORMAT", `${what} ${why}`);
}

/**
 * A host from outside: an IPv4 address, an IPv6 address with or without brackets, or a DNS name.
 * Answers it without brackets.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parseHost(text: string, what = "host"): string {
  const host = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (host !== text ? isIPv6(host) : isIPv4(host) || isIPv6(host)) return host;
  const labels = host.replace(/\.$/, "").split(".");
  // A name that ends in a number is a mistyped IPv4 address (RFC 3696, section 2).
  const name = host === text && host.length <= 253 && labels.every((label) => LABEL.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "");
  if (!name) throw bad(`${what} ${quote(text)}`, "is neither an IP address nor a host name");
  return host;
}

/**
 * A port from outside, 1 to 65535 in decimal digits.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parsePort(text: string, what = "port"): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) {
    throw bad(`${what} ${quote(text)}`, "is not a number from 1 to 65535");
  }
  return port;
}

/** `host:port`: an IPv4 address, an IPv6 address in brackets, or a DNS name, with a port. */
export class Endpoint {
  /** Of parts that are valid already. */
  constructor(
    /** Without brackets. */
    readonly host: string,
    /** 1 to 65535. */
    readonly port: number,
  ) {}

  /**
   * Takes `host:port` from outside.
   * @throws {ScistreamError} BAD_FORMAT
   *
   * ```ts
   * import { Endpoint } from "./endpoint.ts";
   * import { assertEquals } from "@std/assert";
   * assertEquals(Endpoint.parse("[fd00::1]:5100").host, "fd00::1");
   * ```
   */
  static parse(text: string, what = "address"): Endpoint {
    const cut = text.lastIndexOf(":");
    const hint = `is not HOST:PORT, as in 192.168.10.11:5100 or [fd00::1]:5100`;
    if (cut < 1 || text.length > 300) throw bad(`${what} ${quote(text)}`, hint);
    const host = text.slice(0, cut);
    if (host.includes(":") && !host.startsWith("[")) throw bad(`${what} ${quote(text)}`, hint);
    return new Endpoint(
      parseHost(host, `host of ${what}`),
      parsePort(text.slice(cut + 1), `port of ${what}`),
    );
  }

  /** Several endpoints with commas. */
  static parseList(text: string, what = "address"): Endpoint[] {
    return text.split(",").map((part) => Endpoint.parse(part.trim(), what));
  }

  /** Whether the host stands for every address of its machine (0.0.0.0 or ::). */
  get isWildcard(): boolean {
    return this.host === "0.0.0.0" || this.host === "::";
  }

  /** As it stands on the wire and in every message. */
  toString(): string {
    return this.host.includes(":") ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  /** As {@linkcode Endpoint.toString}. */
  toJSON(): string {
    return this.toString();
  }
}
