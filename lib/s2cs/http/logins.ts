/**
 * Who has signed in with a browser: a cookie with a random id, and here what it stands for.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Secret } from "../../protocol/secret.ts";
import type { Asked } from "./listen.ts";

/** Sign-ins that are kept; of more, the oldest ends. */
const MOST = 1_000;
/** How long one without an end of its own lasts. */
const LASTS_MS = 12 * 3600_000;

/** What a cookie stands for. */
export interface Login {
  /** What was shown when signing in; asked about again at each request, for it may be revoked. */
  token: Secret;
  /** Milliseconds since 1970 UTC. */
  untilMs: number;
}

/** In memory only: with the control server they end. */
export class Logins {
  readonly #all = new Map<string, Login>();
  readonly #name: string;
  readonly #attributes: string;

  /** @param port of this server: browsers keep the cookies of a machine's ports together */
  constructor(port: number, secure: boolean) {
    this.#name = `${secure ? "__Host-" : ""}scistream-${port}`;
    this.#attributes = `Path=/; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
  }

  /** Remembers a sign-in; answers the cookie. */
  add(token: Secret, untilMs = Date.now() + LASTS_MS): string {
    const end = Math.min(untilMs, Date.now() + LASTS_MS);
    const id = randomBytes(24).toString("base64url");
    if (this.#all.size >= MOST) this.#all.delete(this.#all.keys().next().value as string);
    this.#all.set(id, { token, untilMs: end });
    const seconds = Math.max(0, Math.floor((end - Date.now()) / 1000));
    return `${this.#name}=${id}; Max-Age=${seconds}; ${this.#attributes}`;
  }

  /** What the request's cookie stands for. */
  of(asked: Asked): Login | undefined {
    const id = this.#id(asked);
    const login = this.#all.get(id);
    if (login && login.untilMs > Date.now()) return login;
    this.#all.delete(id);
    return undefined;
  }

  /** Forgets the request's sign-in; answers the cookie that takes its place. */
  end(asked: Asked): string {
    this.#all.delete(this.#id(asked));
    return `${this.#name}=; Max-Age=0; ${this.#attributes}`;
  }

  #id(asked: Asked): string {
    for (const each of asked.header("cookie").split(";")) {
      const [name, id] = each.trim().split("=", 2);
      if (name === this.#name && id) return id;
    }
    return "";
  }
}
