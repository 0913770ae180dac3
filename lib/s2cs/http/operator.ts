/**
 * The operator's secret, where callers are not authenticated: whoever can read the gateway's folder
 * may release its sessions.
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { Secret } from "../../protocol/secret.ts";

/** A new one each time a control server starts, in a file of its own. */
export class OperatorToken implements Disposable {
  /** Where it is kept. */
  readonly path: string;
  readonly #secret = new Secret(randomBytes(24).toString("base64url"));

  /**
   * Writes it to `dashboard.token` in this folder, which only this user can enter.
   * @throws {Error} when it cannot be written
   */
  constructor(folder: string) {
    this.path = `${folder}/dashboard.token`;
    this.#remove();
    Deno.writeTextFileSync(this.path, `${this.#secret.reveal()}\n`, {
      createNew: true,
      mode: 0o600,
    });
  }

  /** Whether this is it, in the same time whatever it is. */
  is(token: Secret): boolean {
    const hash = (text: string) => createHash("sha256").update(text).digest();
    return timingSafeEqual(hash(token.reveal()), hash(this.#secret.reveal()));
  }

  /** Removes the file. */
  [Symbol.dispose](): void {
    this.#remove();
  }

  #remove(): void {
    try {
      Deno.removeSync(this.path);
    } catch {
      // It is not there, or the disk has become read-only: the next start makes a new one.
    }
  }
}
