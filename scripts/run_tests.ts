// `deno task test`: installs what the tests need, runs them all, and ends with a line
// "N passed, N failed". What cannot be tested here is named; with CI=true that is a failure.
// (Its own file must not be called test.ts: `deno test scripts` would run it.)
import { install } from "./setup.ts";

/** Longer than any run on two cores: a test that waits for ever must not hold CI for as long. */
const LIMIT_MS = 25 * 60_000;
const CI = Deno.env.get("CI") === "true";
const paths = Deno.args.length > 0 ? Deno.args : ["mod.ts", "lib", "cmd", "scripts", "tests"];

const lacking = install(console.log);
// Packages are fetched once, here: the processes that tests start take them from the cache.
const everything = ["mod.ts", "cmd/scistream.ts", ...sources("tests"), ...sources("scripts")];
const cached = new Deno.Command(Deno.execPath(), { args: ["cache", "--quiet", ...everything] });
if (!cached.outputSync().success) console.log("not every package could be fetched");

const tests = new Deno.Command(Deno.execPath(), {
  args: [
    "test",
    "--allow-all", // for /proc, which Deno shows to nobody else; what the product may do is in the commands that tests start
    "--doc",
    "--no-check", // tests/house_test.ts checks types, once and for everything; what --doc adds would not pass noUnusedLocals
    "--cached-only",
    ...paths,
  ],
  env: { NO_COLOR: "1" },
  stdin: "null",
  stdout: "piped",
  stderr: "inherit",
}).spawn();
const limit = setTimeout(() => tests.kill("SIGKILL"), LIMIT_MS);

let output = "";
for await (const text of tests.stdout.pipeThrough(new TextDecoderStream())) {
  output += text;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
const { success } = await tests.status;
clearTimeout(limit);
const summary =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed.*?(?:\| (\d+) ignored)?/m
    .exec(output);
const passed = Number(summary?.[1] ?? 0);
let failed = Number(summary?.[2] ?? 0);
const leftOut = [...output.matchAll(/^(.*) \.\.\. ignored/gm)].map((match) => match[1]);
if (lacking.length > 0) {
  console.log(`not installed, and it takes root and apt-get to: ${lacking.join(", ")}`);
  if (CI) failed++;
}
for (const name of leftOut) console.log(`left out: ${name}`);
if (CI) failed += leftOut.length;
if ((!success || passed === 0) && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);

/** The TypeScript files of a folder. */
function sources(folder: string): string[] {
  const entries = [...Deno.readDirSync(folder)];
  return entries.flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    return name.endsWith(".ts") ? [path] : [];
  });
}
