/**
 * The documentation's pages.
 * @module
 */

/** The project's folder, with a slash at its end. */
export const ROOT = new URL("../..", import.meta.url).pathname;

/** README.md and docs/*.md, as paths from the project's folder. */
export function pages(): string[] {
  const names = [...Deno.readDirSync(`${ROOT}docs`)].map(({ name }) => name);
  return [
    "README.md",
    ...names.filter((name) => name.endsWith(".md")).sort().map((name) => `docs/${name}`),
  ];
}
