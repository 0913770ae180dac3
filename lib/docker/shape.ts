/**
 * The engine's JSON, with the engine's errors.
 * @module
 */
import { parseJson as parse, Shape as AnyShape, shapes, type Wrong } from "../shape.ts";
import { DockerError } from "./errors.ts";

/** Bytes of JSON; `what` is the call, for the error. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  return parse(bytes, wrong(what));
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

/** An object of the engine's answer. */
export class Shape extends AnyShape {
  /** `what` is the call, for the errors. */
  constructor(value: unknown, what: string) {
    super(value, wrong(what));
  }

  /** The objects of a list. */
  static list(value: unknown, what: string): Shape[] {
    return shapes(value, wrong(what));
  }
}

function wrong(what: string): Wrong {
  return (how) => new DockerError("engine", `the Docker Engine's answer ${how} (${what})`);
}
