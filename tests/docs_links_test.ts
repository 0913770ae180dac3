/**
 * What the pages name is there: pages and headings behind links, files, tasks, flags, variables.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { marked, type Token, type Tokens } from "marked";
import { everyGroup } from "../cmd/scistream.ts";
import config from "../deno.json" with { type: "json" };
import { envName, flagName } from "../lib/cli/flags.ts";
import { pages, ROOT } from "./docs/pages.ts";
import { literally } from "./docs/page.ts";
import { assertOk, run } from "./harness.ts";

const read = (path: string) => Deno.readTextFileSync(ROOT + path);

/** Flags of other programs, and whose they are. */
const FOREIGN: Record<string, string> = {
  "--time": "podman",
  "--pid": "tail",
  "--check": "deno fmt",
  "--v8-flags": "deno run",
  "--optimize-for-size": "V8",
  "--expose-gc": "V8",
  "--allow-sys": "deno run",
  "--allow-net": "deno run",
  "--ignore-missing": "sha256sum",
  "--name": "docker run",
  "--network": "docker run",
  "--read-only": "docker run",
  "--tmpfs": "docker run",
  "--cap-drop": "docker run",
  "--security-opt": "docker run",
  "--host": "dockerd",
  "--tlsverify": "dockerd",
  "--tlscacert": "dockerd",
  "--tlscert": "dockerd",
  "--tlskey": "dockerd",
  "--advertise-addr": "docker swarm",
  "--dispatcher-heartbeat": "docker swarm",
  "--token": "docker swarm",
  "--input": "docker load",
  "--label-add": "docker node",
  "--label-rm": "docker node",
  "--availability": "docker node",
  "--constraint": "docker service",
  "--replicas": "docker service",
  "--mount": "docker service",
  "--secret": "docker service",
  "--no-resolve-image": "docker service",
  "--stop-grace-period": "docker service",
  "--prot": "a mistake that docs/troubleshooting.md shows",
};
/** Of every command. */
const STANDARD = ["--help", "--version"];
/** Scripts that have flags of their own. */
const SCRIPTS = ["demo", "bench", "fuzz", "soak", "release", "simulate"].map((name) =>
  read(`scripts/${name}.ts`)
);

/** This project's files, and those that are about to be. */
const files = assertOk(
  await run(["git", "ls-files", "-co", "--exclude-standard"], { cwd: ROOT }),
).out.trim().split("\n");

const SHELL = files.filter((file) => /^scripts\/.*\.sh$/.test(file)).map(read).join("\n");

/** Every token of a page, those within others too. */
function tokensOf(source: string): Token[] {
  const all: Token[] = [];
  marked.walkTokens(marked.lexer(source), (token) => void all.push(token));
  return all;
}

/** As GitHub makes anchors of headings. */
function anchorsOf(source: string): Set<string> {
  const anchors = new Set<string>();
  for (const token of tokensOf(source)) {
    if (token.type !== "heading") continue;
    const text = (token as Tokens.Heading).text.replace(/`/g, "").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    let name = anchor;
    for (let i = 1; anchors.has(name); i++) name = `${anchor}-${i}`;
    anchors.add(name);
  }
  return anchors;
}

/** What is wrong with a page's links. */
function deadLinks(page: string, source: string): string[] {
  return tokensOf(source).filter(({ type }) => type === "link" || type === "image").flatMap(
    (token) => {
      const { href } = token as Tokens.Link;
      if (/^https?:/.test(href)) return [];
      const [path = "", anchor] = href.split("#");
      const target = path === "" ? page : new URL(path, `file:///${page}`).pathname.slice(1);
      if (target !== page && !files.includes(target)) return [href];
      return anchor === undefined || anchorsOf(target === page ? source : read(target)).has(anchor)
        ? []
        : [href];
    },
  );
}

/** Files and folders that a page names and that are not there nor written by it; `*` stands for some letters. */
function missingFiles(source: string): string[] {
  const written = [...source.matchAll(/(?:<!-- file:|^```ts) (\S+?)(?:,| -->|$)/gm)].map((
    [, name],
  ) => name as string);
  const folders = new Set(
    files.flatMap((file) => file.includes("/") ? [file.split("/", 1)[0]] : []),
  );
  const inCode = tokensOf(source).filter(({ type }) => type === "codespan")
    .map((token) => (token as Tokens.Codespan).text)
    .filter((text) => /^[\w.*/-]+$/.test(text) && folders.has(text.split("/", 1)[0]))
    .filter((text) => text.includes("/"));
  const inText = source.match(/(?<![\w/.*-])[\w.*/-]+\.(?:ts|eta|proto)\b/g) ?? [];
  return [...inCode, ...inText].filter((name) => {
    const path = name.replace(/^(\.\.?\/)+|\/$/g, "").split("*").map(literally).join("[^/]*");
    return ![...files, ...written].some((file) => new RegExp(`(^|/)${path}(/|$)`).test(file));
  });
}

/** Flags that no command, script or other program has. */
function unknownFlags(source: string, known: ReadonlySet<string>): string[] {
  // What only tests see is run. `--quota-…` stands for several.
  const named = [...source.replace(/<!--[^]*?-->/g, "").matchAll(/(?<![\w-])--[a-z][a-z0-9_-]*…?/g)]
    .map(([flag]) => flag.replaceAll("_", "-"));
  return named.filter((flag) => {
    if (flag.endsWith("…")) return ![...known].some((each) => each.startsWith(flag.slice(0, -1)));
    if (known.has(flag) || flag in FOREIGN) return false;
    if (new RegExp(`(^|\\s)${flag}\\b`, "m").test(SHELL)) return false;
    const key = flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return !SCRIPTS.some((script) => new RegExp(`^  ${key}: |"${key}"`, "m").test(script));
  });
}

Deno.test("links, files and tasks that the pages name are there", () => {
  const wrong: string[] = [];
  for (const page of pages()) {
    const source = read(page);
    for (const link of deadLinks(page, source)) wrong.push(`${page}: link ${link}`);
    for (const file of missingFiles(source)) wrong.push(`${page}: file ${file}`);
    for (const [, task] of source.matchAll(/\bdeno(?:@[\d.]+)? task (\w+)/g)) {
      if (!((task as string) in config.tasks)) wrong.push(`${page}: task ${task}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("flags and variables that the pages name are there", async () => {
  const all = (await everyGroup()).flatMap(({ commands }) => commands);
  assert(all.length > 20);
  const flags = all.flatMap((each) => Object.entries(each.flags));
  const known = new Set([...STANDARD, ...flags.map(([key]) => `--${flagName(key)}`)]);
  const variables = new Set(flags.map(([key, flag]) => envName(key, flag)));
  const sources = files.filter((file) => /^(cmd|lib)\/.*\.ts$/.test(file)).map(read).join("\n");
  const wrong: string[] = [];
  for (const page of pages()) {
    const source = read(page);
    for (const flag of unknownFlags(source, known)) wrong.push(`${page}: flag ${flag}`);
    for (const [name] of source.matchAll(/\bSCISTREAM_[A-Z_]*[A-Z]/g)) {
      if (!variables.has(name) && !new RegExp(`\\b${name}\\b`).test(sources)) {
        wrong.push(`${page}: variable ${name}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("every page is in the README's list", () => {
  const source = read("README.md");
  for (const page of pages().slice(1)) assert(source.includes(`](${page})`), page);
});

Deno.test("docs/changelog.md begins with the version that this is", () => {
  const [, version] = /^## (\S+)/m.exec(read("docs/changelog.md")) ?? [];
  assertEquals(version, config.version);
});

Deno.test("what is not there is found", () => {
  const page = "docs/x.md";
  assertEquals(
    deadLinks(page, "[a](nowhere.md) [b](protocol.md#nothing) [c](protocol.md#errors)"),
    [
      "nowhere.md",
      "protocol.md#nothing",
    ],
  );
  assertEquals(deadLinks(page, "# A `b` c!\n\n[a](#a-b-c) [d](#a-b)"), ["#a-b"]);
  assertEquals(
    missingFiles("`lib/nothing` lib/s2cs/state.ts nothing.ts `lib/s2cs` tests/fau*_test.ts"),
    [
      "lib/nothing",
      "nothing.ts",
    ],
  );
  assertEquals(
    unknownFlags(
      "--port --num_conn --nothing --quo-… --nau-…",
      new Set(["--port", "--num-conn", "--quo-ta"]),
    ),
    [
      "--nothing",
      "--nau-…",
    ],
  );
});
