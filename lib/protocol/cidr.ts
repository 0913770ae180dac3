import { BlockList, isIPv4, isIPv6 } from "node:net";
import { quote, ScistreamError } from "./errors.ts";

/** Networks that one list may name. */
const MOST_NETWORKS = 256;
/** An IPv4 address as a socket that takes both kinds shows it (RFC 4291, section 2.5.5.2). */
const MAPPED = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/** Networks to let in. */
export class Networks {
  readonly #list = new BlockList();
  readonly #texts: readonly string[];

  private constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  /**
   * Takes networks from outside: `192.168.20.0/24`, `fd00::/8`, or single addresses.
   * @throws {ScistreamError} BAD_FORMAT
   */
  static parse(texts: readonly string[], what = "network"): Networks {
    if (texts.length > MOST_NETWORKS) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `${texts.length} ${what}s; name at most ${MOST_NETWORKS}`,
      );
    }
    const networks = new Networks(texts);
    for (const text of texts) {
      const [address = "", length, ...more] = text.split("/");
      const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined;
      const most = family === "ipv4" ? 32 : 128;
      const bits = length === undefined ? most : /^[0-9]{1,3}$/.test(length) ? Number(length) : -1;
      // The name of an interface says nothing about where a packet comes from, and BlockList throws.
      const scoped = address.includes("%");
      if (!family || scoped || more.length > 0 || bits < 0 || bits > most) {
        throw new ScistreamError(
          "BAD_FORMAT",
          `${what} ${quote(text)} is not ADDRESS/LENGTH, as in 192.168.20.0/24 or fd00::/8`,
        );
      }
      networks.#list.addSubnet(address, bits, family);
    }
    return networks;
  }

  /** Several networks with commas. */
  static parseList(text: string, what?: string): Networks {
    return Networks.parse(text.split(",").map((each) => each.trim()), what);
  }

  /** Whether the address lies in one of them. */
  has(address: string): boolean {
    const plain = address.replace(MAPPED, "");
    return this.#list.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
  }

  /** As they were given. */
  get texts(): readonly string[] {
    return this.#texts;
  }

  /** With commas. */
  toString(): string {
    return this.#texts.join(",");
  }
}
