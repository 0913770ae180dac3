// Keeps the arrows between the rooms: cmd → lib → proto (docs/developer-guide.md).
// `deno task guard`; prints each import or call that goes the wrong way, and fails.

/** A source file: its path from the project's root, and its text. */
export interface Source {
  path: string;
  text: string;
}

/** What the files below a folder may import: project paths by their beginning, packages by name. */
const RULES: { room: string; may: string[]; packages?: string[] }[] = [
  { room: "proto/", may: [], packages: [] },
  // The protocol knows nothing of sockets, flags or sessions.
  {
    room: "lib/protocol/",
    may: ["lib/protocol/", "lib/buckets.ts", "lib/pause.ts", "lib/trace.ts", "proto/"],
  },
  // Data servers know nothing of sessions or gRPC.
  {
    room: "lib/s2ds/",
    may: [
      "lib/s2ds/",
      "lib/docker/",
      "lib/janus/",
      "lib/protocol/",
      "lib/certificate.ts",
      "lib/fault_points.ts",
      "lib/log.ts",
      "lib/private_folder.ts",
      "lib/self.ts",
      "lib/version.ts",
      "templates/",
    ],
    packages: ["node:", "eta", "@peculiar/x509"],
  },
  // The Engine's HTTP knows nothing of what the containers are for.
  {
    room: "lib/docker/",
    may: ["lib/docker/", "lib/protocol/errors.ts", "lib/protocol/secret.ts", "lib/shape.ts"],
    packages: ["node:"],
  },
  // Nor does Janus' REST.
  {
    room: "lib/janus/",
    may: ["lib/janus/", "lib/protocol/", "lib/pause.ts", "lib/shape.ts"],
    packages: ["node:"],
  },
  {
    room: "lib/s2cs/",
    may: [
      "lib/s2cs/",
      "lib/s2ds/",
      "lib/auth/",
      "lib/protocol/",
      "lib/buckets.ts",
      "lib/fault_points.ts",
      "lib/log.ts",
      "lib/private_folder.ts",
      "lib/version.ts",
      "lib/rotated_file.ts",
      "lib/trace.ts",
      "proto/",
      "templates/",
    ],
    packages: ["node:", "prom-client", "@grpc/", "eta"],
  },
  // Who somebody is has nothing to do with what they ask for.
  {
    room: "lib/auth/",
    may: ["lib/auth/", "lib/protocol/", "lib/log.ts"],
    packages: ["node:", "oauth4webapi", "jose"],
  },
  // Looks at a machine, or at a control server from outside, and runs nothing of either.
  {
    room: "lib/doctor/",
    may: [
      "lib/doctor/",
      "lib/s2ds/",
      "lib/docker/",
      "lib/protocol/",
      "lib/auth/",
      "lib/machine.ts",
      "lib/private_folder.ts",
      "lib/version.ts",
    ],
    packages: ["node:"],
  },
  { room: "lib/", may: ["lib/", "proto/", "templates/", "deno.json"] },
  // Commands never import one another; scistream.ts and a group's file list them.
  { room: "cmd/scistream.ts", may: ["cmd/", "lib/"] },
  { room: "cmd/s2uc/group.ts", may: ["cmd/s2uc/", "lib/"] },
  { room: "cmd/appctrl/group.ts", may: ["cmd/appctrl/", "lib/"] },
  { room: "cmd/", may: ["lib/"] },
  { room: "mod.ts", may: ["lib/", "proto/"], packages: [] },
];

/** Calls that belong to the outermost room. */
const CMD_ONLY = [/\bDeno\.args\b/, /\bDeno\.exit\(/, /\bconsole\.\w+\(/];

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^;]*?\bfrom\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|(?:^|\n)\s*import\s+"([^"]+)"/g;

/** What is wrong with these files, a line each; tests are not looked at. */
export function check(sources: readonly Source[]): string[] {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    if (/_test\.ts$/.test(path)) continue;
    const rule = RULES.find(({ room }) => path.startsWith(room));
    if (!rule) continue;
    const code = withoutComments(text);
    for (const [, a, b, c] of code.matchAll(IMPORT)) {
      const specifier = (a ?? b ?? c) as string;
      if (specifier.startsWith(".")) {
        const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
        if (!rule.may.some((room) => target.startsWith(room))) {
          wrong.push(`${path} must not import ${target}`);
        }
      } else if (rule.packages && !rule.packages.some((name) => specifier.startsWith(name))) {
        wrong.push(`${path} must not import ${specifier}`);
      }
    }
    if (path.startsWith("cmd/")) continue;
    for (const call of CMD_ONLY) {
      const found = call.exec(code)?.[0];
      if (found) wrong.push(`${path} must not use ${found}: only cmd/ does`);
    }
  }
  return wrong;
}

/** Comments are not code; strings may hold what looks like one, but no import of ours does. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

/** The project's sources. */
export function readSources(root: URL): Source[] {
  const sources: Source[] = [];
  const walk = (folder: string) => {
    for (const entry of Deno.readDirSync(new URL(folder, root))) {
      const path = folder + entry.name;
      if (entry.isDirectory) walk(`${path}/`);
      else if (path.endsWith(".ts")) {
        sources.push({ path, text: Deno.readTextFileSync(new URL(path, root)) });
      }
    }
  };
  for (const room of ["cmd/", "lib/", "proto/"]) walk(room);
  sources.push({ path: "mod.ts", text: Deno.readTextFileSync(new URL("mod.ts", root)) });
  return sources;
}

if (import.meta.main) {
  const wrong = check(readSources(new URL("..", import.meta.url)));
  for (const line of wrong) console.error(line);
  Deno.exit(wrong.length > 0 ? 1 : 0);
}
