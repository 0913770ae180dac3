/**
 * Which of the things that a container is made of Janus does not have: its 404 says it in words that
 * differ from version to version.
 * @module
 */
import { quote } from "../protocol/errors.ts";
import type { Janus, JanusRequest } from "./client.ts";
import { JanusError } from "./errors.ts";

/** Most names that a sentence holds. */
const MOST_NAMES = 20;

/** The error for a 404 of `POST /create`, with what there is instead; Janus' own if all is there. */
export async function whatIsMissing(
  janus: Janus,
  { profile, image, node }: JanusRequest,
  error: JanusError,
): Promise<JanusError> {
  const looks: [string, string, () => Promise<string[]>][] = [
    ["profile", profile, async () => (await janus.profiles()).map(({ name }) => name)],
    ["image", plainImage(image), () => janus.images()],
    ["node", node, async () => (await janus.nodes()).map(({ name }) => name)],
  ];
  for (const [kind, name, list] of looks) {
    const there = await list().catch(() => [name]);
    if (!there.includes(name)) return missing(kind, name, there, error);
  }
  return error;
}

/** Janus does not have this `kind` of thing under this name. */
export function missing(
  kind: string,
  name: string,
  there: readonly string[],
  cause?: unknown,
): JanusError {
  const names = there.slice(0, MOST_NAMES).map((each) => quote(each)).join(", ") || "none";
  return new JanusError(
    "missing",
    `Janus has no ${kind} ${quote(name)} for this user; it has ${names}`,
    { httpStatus: 404, cause },
  );
}

/** An image as Janus lists it: without tag and digest. */
export function plainImage(image: string): string {
  return image.split(/[:@]/)[0] as string;
}
