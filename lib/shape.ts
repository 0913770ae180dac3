/**
 * JSON from an engine, taken apart with every field's type looked at.
 * @module
 */
import { quote } from "./protocol/errors.ts";

/** The error for an answer; `how` completes "the answer …". */
export type Wrong = (how: string) => Error;

/** Bytes of JSON, in UTF-8. */
export function parseJson(bytes: Uint8Array, wrong: Wrong): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw wrong("is not JSON");
  }
}

/** The objects of a list. Go's null for an empty list counts as empty. */
export function shapes(value: unknown, wrong: Wrong): Shape[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw wrong("is no list");
  return value.map((item) => new Shape(item, wrong));
}

/** An object of an answer. Go's null for empty lists and maps counts as empty. */
export class Shape {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #wrong: Wrong;

  /** @throws what `wrong` makes, also later, if it is not as it is asked for */
  constructor(value: unknown, wrong: Wrong) {
    this.#wrong = wrong;
    if (!isObject(value)) throw wrong("is no object");
    this.#fields = value;
  }

  /** Names of its fields. */
  keys(): string[] {
    return Object.keys(this.#fields);
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
    return isObject(value) ? new Shape(value, this.#wrong) : this.#refuse(key);
  }

  /** An object, undefined if there is none. */
  partIfAny(key: string): Shape | undefined {
    return this.#get(key, undefined) === undefined ? undefined : this.part(key);
  }

  /** A list of objects. */
  parts(key: string): Shape[] {
    const value = this.#get(key, []);
    if (!Array.isArray(value) || !value.every(isObject)) return this.#refuse(key);
    return value.map((item) => new Shape(item, this.#wrong));
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
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
