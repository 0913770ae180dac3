/**
 * What the engine takes in a request's query.
 * @module
 */
import type { Wanted } from "./swarm_types.ts";

/** The `filters` of Swarm mode's lists. */
export function swarmFilters({ labels, namePrefix }: Wanted): string {
  return JSON.stringify({
    ...labels ? { label: pairs(labels) } : {},
    ...namePrefix ? { name: [namePrefix] } : {},
  });
}

/** The `filters` of `GET /containers/json` and `GET /events`. */
export function filters(
  wanted: { labels: Record<string, string>; types?: readonly string[] },
): string {
  return JSON.stringify({
    label: pairs(wanted.labels),
    ...wanted.types ? { type: wanted.types } : {},
  });
}

/**
 * The `fromImage` and `tag` of `POST /images/create`: without a tag the engine would fetch them all,
 * so it is `latest`; a digest needs none.
 */
export function reference(image: string): { fromImage: string; tag?: string } {
  if (image.includes("@")) return { fromImage: image };
  const colon = image.indexOf(":", image.lastIndexOf("/") + 1);
  return colon < 0
    ? { fromImage: image, tag: "latest" }
    : { fromImage: image.slice(0, colon), tag: image.slice(colon + 1) };
}

function pairs(labels: Record<string, string>): string[] {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`);
}
