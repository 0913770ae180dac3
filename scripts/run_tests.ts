// `deno task test`: installs what the tests need, runs them all, and ends with a line
// "N passed, N failed". What cannot be tested here is named; with CI=true that is a failure.
// (Its own file must not be called test.ts: `deno test scripts` would run it.)
import { install } from "./setup.ts";

/** Longer than any run on two cores: a test that waits for ever must not hold CI for as long. */
const LIMIT_MS = 25 * 60_000;
/** Most tests wait for other processes, so two at once share two cores well. */
const LANES = 2;
/** These take longest; begun last, they would be waited for alone. */
const FIRST = [
  "crash_matrix",
  "provision",
  "tutorial",
  "proxy_failures",
  "http2_abuse",
  "flows",
  "model",
  "pairs",
  "docs",
  "demo",
];
/** These mostly wait for a time and take little of a core: they have a lane more, one after another. */
const WAITING = [
  "swarm_sessions",
  "proxies_idle",
  "login",
  "session",
  "dashboard",
  "unprivileged",
  "soak",
  "recovery",
  "faults",
  "stunnel",
];
const CI = Deno.env.get("CI") === "true";

const lacking = install(console.log);
// Packages are fetched once, here: the processes that tests start take them from the cache.
const everything = ["mod.ts", "cmd/scistream.ts", ...sources("tests"), ...sources("scripts")];
const cached = new Deno.Command(Deno.execPath(), { args: ["cache", "--quiet", ...everything] });
if (!cached.outputSync().success) console.log("not every package could be fetched");

const [queue, waiting] = Deno.args.length > 0 ? [[Deno.args], []] : groups();
const results: Result[] = [];
const running = new Set<Deno.ChildProcess>();
const limit = setTimeout(() => {
  queue.length = waiting.length = 0;
  for (const child of running) child.kill("SIGKILL");
}, LIMIT_MS);
await Promise.all(Array.from({ length: LANES + 1 }, (_, lane) => work(lane)));
clearTimeout(limit);

const passed = results.reduce((sum, result) => sum + result.passed, 0);
let failed = results.reduce((sum, result) => sum + result.failed, 0);
const leftOut = results.flatMap((result) => result.leftOut);
for (const { failures } of results) for (const line of failures) console.log(`failed: ${line}`);
if (lacking.length > 0) {
  console.log(`not installed, and it takes root and apt-get to: ${lacking.join(", ")}`);
  if (CI) failed++;
}
for (const name of leftOut) console.log(`left out: ${name}`);
if (CI) failed += leftOut.length;
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);

/** What one `deno test` came to. */
interface Result {
  passed: number;
  failed: number;
  leftOut: string[];
  /** Names of those that failed. */
  failures: string[];
}

/** Takes one group after another until there is none; the last lane only of those that wait. */
async function work(lane: number): Promise<void> {
  const next = () => (lane < LANES ? queue.shift() : undefined) ?? waiting.shift();
  for (let paths = next(); paths; paths = next()) results.push(await test(paths, lane));
}

async function test(paths: string[], lane: number): Promise<Result> {
  const tests = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--allow-all", // for /proc, which Deno shows to nobody else; what the product may do is in the commands that tests start
      "--doc",
      "--no-check", // tests/house_test.ts checks types, once and for everything; what --doc adds would not pass noUnusedLocals
      "--cached-only",
      ...paths,
    ],
    env: { NO_COLOR: "1", SCISTREAM_TEST_LANE: String(lane) },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  running.add(tests);
  let output = "";
  for await (const text of tests.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (queue.length === 0 && Deno.args.length > 0) print(text);
  }
  // What runs at once is not printed as one.
  if (Deno.args.length === 0) print(output);
  const { success } = await tests.status;
  running.delete(tests);
  const summary = /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed/m.exec(
    output,
  );
  const passed = Number(summary?.[1] ?? 0);
  let failed = Number(summary?.[2] ?? 0);
  if ((!success || passed === 0) && failed === 0) failed = 1;
  const leftOut = [...output.matchAll(/^(.*) \.\.\. ignored/gm)].map((match) => match[1] ?? "");
  const failures = failed === 0 ? [] : [...output.matchAll(/^(.* => \.\/.*)$/gm)]
    .map((match) => match[1] ?? "");
  if (failed > 0 && failures.length === 0) failures.push(paths.join(" "));
  return { passed, failed, leftOut, failures: [...new Set(failures)] };
}

function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}

/** The unit tests together, and each file of tests of whole processes by itself; apart, those that wait. */
function groups(): [string[][], string[][]] {
  const files = sources("tests").filter((path) => path.endsWith("_test.ts")).sort();
  const paths = (names: string[]) => names.map((name) => `tests/${name}_test.ts`);
  const [first, waiting] = [paths(FIRST), paths(WAITING)];
  const missing = [...first, ...waiting].filter((path) => !files.includes(path));
  if (missing.length > 0) throw new Error(`no such tests: ${missing.join(", ")}`);
  const others = files.filter((path) => !first.includes(path) && !waiting.includes(path));
  const alone = (paths: string[]) => paths.map((path) => [path]);
  const units = ["mod.ts", "lib", "cmd", "scripts"];
  return [[...alone(first), units, ...alone(others)], alone(waiting)];
}

/** The TypeScript files of a folder. */
function sources(folder: string): string[] {
  const entries = [...Deno.readDirSync(folder)];
  return entries.flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    return name.endsWith(".ts") ? [path] : [];
  });
}
