/**
 * Who a token stands for, and rules about that.
 * @module
 */
import { quote, ScistreamError } from "../protocol/errors.ts";

/** What a provider says of a token, by introspection (RFC 7662) or inside it (RFC 9068). */
export type Claims = Readonly<Record<string, unknown>>;

/** Who calls, as the provider vouches for it. */
export interface Identity {
  /** The provider. */
  readonly issuer: string;
  /** Its name for the user, which never changes. */
  readonly subject: string;
  /** The user's own name for it, as in alice@anl.gov; the subject where the provider tells none. */
  readonly name: string;
  /** The part behind the @ of a name or an address that the provider has verified. */
  readonly domain: string;
  /** As the provider names them. */
  readonly groups: readonly string[];
}

/** Longer names are nobody's. */
const MOST_CHARACTERS = 255;
const MOST_GROUPS = 1_000;

/**
 * Reads claims. Undefined where they name nobody: without a subject nothing could belong to them.
 * @param groupsClaim where the provider puts a user's groups
 */
export function readIdentity(
  issuer: string,
  claims: Claims,
  groupsClaim: string,
): Identity | undefined {
  const subject = textOf(claims.sub);
  if (subject === undefined) return undefined;
  const name = textOf(claims.username) ?? textOf(claims.preferred_username);
  // An address that nobody verified is whatever its user likes to be.
  const email = claims.email_verified === true ? textOf(claims.email) : undefined;
  const groups = Array.isArray(claims[groupsClaim]) ? claims[groupsClaim] : [];
  return {
    issuer,
    subject,
    name: name ?? subject,
    domain: domainOf(name) ?? domainOf(email) ?? "",
    groups: groups.map(textOf).filter((each) => each !== undefined).slice(0, MOST_GROUPS),
  };
}

function textOf(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "" || value.length > MOST_CHARACTERS) return undefined;
  return /\p{Cc}/u.test(value) ? undefined : value;
}

function domainOf(name: string | undefined): string | undefined {
  return /@([^@]+)$/.exec(name ?? "")?.[1]?.toLowerCase();
}

const KINDS = ["user", "id", "domain", "group"] as const;

/** Users by name, domain or group; whoever one of them fits is meant. */
export class Rules {
  readonly #rules: readonly { kind: typeof KINDS[number]; value: string }[];

  private constructor(rules: readonly { kind: typeof KINDS[number]; value: string }[]) {
    this.#rules = rules;
  }

  /** Whether a text has the form of a rule at all, and not that of a network. */
  static isRule(text: string): boolean {
    return KINDS.some((kind) => text.trim().startsWith(`${kind}:`));
  }

  /**
   * Takes `user:alice@anl.gov`, `id:SUBJECT`, `domain:anl.gov`, `group:beamline-7`.
   * @throws {ScistreamError} BAD_FORMAT names the rule
   *
   * ```ts
   * import { Rules } from "./identity.ts";
   * import { assert } from "@std/assert";
   * const alice = { issuer: "https://idp.example", subject: "1", name: "alice@anl.gov", domain: "anl.gov", groups: [] };
   * assert(Rules.parse(["domain:anl.gov"]).fit(alice));
   * assert(!Rules.parse(["group:staff", "user:bob@anl.gov"]).fit(alice));
   * ```
   */
  static parse(texts: readonly string[]): Rules {
    return new Rules(texts.map((text) => {
      const [, kind, value] = /^(user|id|domain|group):(.+)$/.exec(text.trim()) ?? [];
      if (kind === undefined || value === undefined || value.length > MOST_CHARACTERS) {
        throw new ScistreamError(
          "BAD_FORMAT",
          `rule ${quote(text)} is none of user:NAME, id:SUBJECT, domain:NAME and group:NAME`,
        );
      }
      return { kind: kind as typeof KINDS[number], value };
    }));
  }

  /** Whether one of the rules fits. */
  fit({ subject, name, domain, groups }: Identity): boolean {
    return this.#rules.some(({ kind, value }) => {
      if (kind === "group") return groups.includes(value);
      if (kind === "domain") return domain === value.toLowerCase();
      return kind === "id" ? subject === value : name.toLowerCase() === value.toLowerCase();
    });
  }

  /** Whether a rule asks for groups. */
  get nameGroups(): boolean {
    return this.#rules.some(({ kind }) => kind === "group");
  }
}
