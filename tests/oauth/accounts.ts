/**
 * What a provider knows of its users.
 * @module
 */
import { createHash } from "node:crypto";
import type { OAuthServerOptions, OAuthUser } from "./options.ts";

/** Anyone may log in; whoever has done so, or has a token, is known by a subject. */
export class Users {
  readonly #options: OAuthServerOptions;
  /** By subject. */
  readonly #logins = new Map<string, string>();

  constructor(options: OAuthServerOptions) {
    this.#options = options;
  }

  /** The subject of a user: a UUID at Globus. */
  subject(login: string): string {
    const hash = createHash("sha256").update(login).digest("hex");
    const uuid = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-8$3-a$4-$5");
    const subject = this.#options.shape === "globus" ? uuid : hash.slice(0, 16);
    this.#logins.set(subject, login);
    return subject;
  }

  /** Undefined for a subject that was never answered. */
  login(subject: string): string | undefined {
    return this.#logins.get(subject);
  }

  /** What is told of everyone. */
  known(subject: string): Omit<OAuthUser, "groups"> {
    const login = this.login(subject) ?? "";
    const { groups: _, ...user } = this.#options.users?.[login] ?? {};
    const email = login.includes("@") ? login : `${login}@example.org`;
    return { email, email_verified: false, name: login, ...user };
  }

  groups(subject: string): string[] {
    return this.#options.users?.[this.login(subject) ?? ""]?.groups ?? [];
  }
}
