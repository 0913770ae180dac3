/**
 * The engine's JSON, taken apart with every field's type looked at.
 * @module
 */
import { quote } from "../protocol/errors.ts";
import { DockerError } from "./errors.ts";

/** Bytes of JSON; `what` is the call, for the error. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new DockerError("engine", `the Docker Engine's answer is not JSON (${what})`, { cause });
  }
}

/** The engine's own sentence in an error's body; whatever else the body is, as it is. */
export function errorMessage(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  try {
    const { message } = JSON.parse(text);
    if (typeof message === "string") return message;
  } catch {
    // Said in another way, by something before the engine.
  }
  return text;
}

/** An object of the engine's answer. Go's null for empty lists and maps counts as empty. */
export class Shape {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;

  /** `what` is the call, for the errors. */
  constructor(value: unknown, what: string) {
    this.#what = what;
    if (!isObject(value)) throw this.#wrong("is no object");
    this.#fields = value;
  }

  /** The objects of a list. */
  static list(value: unknown, what: string): Shape[] {
    if (value === null) return [];
    if (!Array.isArray(value)) {
      throw new DockerError("engine", `the Docker Engine's answer is no list (${what})`);
    }
    return value.map((item) => new Shape(item, what));
  }

  /** A string; without `absent`, it must be there. */
  text(key: string, absent?: string): string {
    const value = this.#get(key, absent);
    return typeof value === "string" ? value : this.#refuse(key);
  }

  /** A number; without `absent`, it must be there. */
  number(key: string, absent?: number): number {
    const value = this.#get(key, absent);
    return typeof value === "number" ? value : this.#refuse(key);
  }

  /** A boolean; without `absent`, it must be there. */
  flag(key: string, absent?: boolean): boolean {
    const value = this.#get(key, absent);
    return typeof value === "boolean" ? value : this.#refuse(key);
  }

  /** A list of strings. */
  texts(key: string): string[] {
    const value = this.#get(key, []);
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      return this.#refuse(key);
    }
    return value;
  }

  /** A map of strings. */
  map(key: string): Record<string, string> {
    const value = this.#get(key, {});
    if (!isObject(value) || !Object.values(value).every((item) => typeof item === "string")) {
      return this.#refuse(key);
    }
    return value as Record<string, string>;
  }

  /** An object that must be there. */
  part(key: string): Shape {
    const value = this.#get(key, undefined);
    return isObject(value) ? new Shape(value, this.#what) : this.#refuse(key);
  }

  /** An object, undefined if there is none. */
  partIfAny(key: string): Shape | undefined {
    return this.#get(key, undefined) === undefined ? undefined : this.part(key);
  }

  /** An object as it is, if there is one. */
  raw(key: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.#get(key, undefined);
    return isObject(value) ? value : undefined;
  }

  #get(key: string, absent: unknown): unknown {
    return (Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined) ?? absent;
  }

  #refuse(key: string): never {
    throw this.#wrong(`has no valid ${quote(key)}`);
  }

  #wrong(how: string): DockerError {
    return new DockerError("engine", `the Docker Engine's answer ${how} (${this.#what})`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
