/**
 * Who looks on, and what they may see and do.
 * @module
 */
import type { Principal } from "../../auth/authenticator.ts";
import { addressOf } from "../../protocol/address.ts";
import { ScistreamError, Status } from "../../protocol/errors.ts";
import type { Secret } from "../../protocol/secret.ts";
import { bareToken } from "../../protocol/token.ts";
import { LimitError } from "../call_limits.ts";
import { auditEntry, authenticate, type Front } from "../front.ts";
import type { Asked } from "./listen.ts";
import type { Logins } from "./logins.ts";
import type { OperatorToken } from "./operator.ts";

/** Somebody who is let in. */
export interface Visitor {
  /** Sees its own sessions, or all; undefined where callers are not authenticated: that sees all. */
  who?: Principal;
  /** For people and the audit log; empty for whoever has not signed in. */
  name: string;
  /** Whether sessions may be released: those that are seen. */
  mayRelease: boolean;
}

/** Lets visitors in. */
export class Visitors {
  readonly #front: Front;
  readonly #operator: OperatorToken;
  readonly #logins: Logins;

  constructor(front: Front, operator: OperatorToken, logins: Logins) {
    this.#front = front;
    this.#operator = operator;
    this.#logins = logins;
  }

  /** Whether callers are authenticated, and so nobody may look on without a token. */
  get isClosed(): boolean {
    return this.#front.auth !== undefined;
  }

  /** Where the operator's token is. */
  get tokenPath(): string {
    return this.#operator.path;
  }

  /**
   * Who asks; undefined for whoever has to sign in first.
   * @throws {ScistreamError} AUTH_ERROR, RATE_LIMIT, UNAVAILABLE
   */
  async of(asked: Asked): Promise<Visitor | undefined> {
    const field = asked.header("authorization");
    if (/^bearer /i.test(field)) {
      return await this.#check("http", asked, tokenIn(field));
    }
    const login = this.#logins.of(asked);
    if (login) {
      const visitor = await this.#again(asked, login.token);
      if (visitor) return visitor;
    }
    if (this.isClosed) return undefined;
    return { name: "", mayRelease: false };
  }

  /**
   * Takes a token that somebody pasted; answers the cookie that stands for it from now on.
   * @throws {ScistreamError} AUTH_ERROR, RATE_LIMIT, UNAVAILABLE
   */
  async signIn(asked: Asked, text: string): Promise<string> {
    const token = tokenIn(text);
    const { who, name } = await this.#check("sign-in", asked, token);
    this.#audit("sign-in", asked, { who, name });
    return this.#logins.add(token, who?.expiresMs);
  }

  /** Forgets a sign-in; answers the cookie that takes its place. */
  signOut(asked: Asked): string {
    return this.#logins.end(asked);
  }

  /** Whom a sign-in stands for now; nobody where its token does not count any more. */
  async #again(asked: Asked, token: Secret): Promise<Visitor | undefined> {
    if (!this.isClosed && !this.#operator.is(token)) return undefined;
    try {
      return await this.#known(asked, token);
    } catch (error) {
      if (!(error instanceof ScistreamError) || error.code !== "AUTH_ERROR") throw error;
      this.#logins.end(asked);
      return undefined;
    }
  }

  async #check(call: string, asked: Asked, token: Secret): Promise<Visitor> {
    try {
      return await this.#known(asked, token);
    } catch (error) {
      if (!(error instanceof LimitError && !error.told)) this.#audit(call, asked, { error });
      throw error;
    }
  }

  async #known(asked: Asked, token: Secret): Promise<Visitor> {
    const may = { mayRelease: true };
    const address = addressOf(asked.peer);
    if (this.isClosed) {
      const who = await authenticate(this.#front, { token }, address);
      return { ...may, who, name: who?.name ?? "" };
    }
    // A good one first: whoever tries bad ones from the same machine locks nobody out.
    if (this.#operator.is(token)) return { ...may, name: OPERATOR };
    this.#front.guard.checking(address)(true);
    this.#front.guard.refused(address);
    throw new ScistreamError("AUTH_ERROR", "this is not the token of that file", {
      status: Status.UNAUTHENTICATED,
    });
  }

  #audit(
    call: string,
    { peer }: Asked,
    { who, name = "", error }: { who?: Principal; name?: string; error?: unknown },
  ): void {
    const entry = auditEntry(call, {}, { peer }, who, { error, start: performance.now() });
    this.#front.audit?.write({ ...entry, caller: who?.name ?? name });
  }
}

/** Whoever signed in with the token of the operator's file. */
const OPERATOR = "operator";

function tokenIn(text: string): Secret {
  return bareToken(text.trim());
}
