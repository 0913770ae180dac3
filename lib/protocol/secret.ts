/**
 * A secret from outside: prints masked wherever it is put by mistake, in a log line, JSON or an
 * inspection. Only {@linkcode Secret.reveal} gives it.
 *
 * ```ts
 * import { Secret } from "./secret.ts";
 * import { assertEquals } from "@std/assert";
 * const token = new Secret("AgpQoBo1VvvY");
 * assertEquals(`${token} ${JSON.stringify({ token })}`, '*** {"token":"***"}');
 * assertEquals(token.reveal(), "AgpQoBo1VvvY");
 * ```
 */
export class Secret {
  readonly #value: string;

  /** Of any text. */
  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself: for the wire, a file of the user's own, or the user who asked for it. */
  reveal(): string {
    return this.#value;
  }

  /** `***`. */
  toString(): string {
    return "***";
  }

  /** `***`. */
  toJSON(): string {
    return "***";
  }

  /** What inspection shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return "Secret(***)";
  }
}
