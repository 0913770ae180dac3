// `deno task test`: installs what the tests need, runs them all, and ends with a line
// "N passed, N failed". What cannot be tested here is named; with CI=true that is a failure.
import { install } from "./setup.ts";

const lacking = install(console.log);
const tests = new Deno.Command(Deno.execPath(), {
  args: [
    "test",
    "--quiet",
    "--allow-all",
    "--doc",
    "--cached-only",
    ...Deno.args,
    ...Deno.args.length > 0 ? [] : ["mod.ts", "lib", "cmd", "scripts", "tests"],
  ],
  env: { NO_COLOR: "1" },
  stdin: "null",
  stdout: "piped",
  stderr: "inherit",
}).spawn();

let output = "";
for await (const text of tests.stdout.pipeThrough(new TextDecoderStream())) {
  output += text;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
const { success } = await tests.status;
const summary =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed.*?(?:\| (\d+) ignored)?/m
    .exec(output);
const passed = Number(summary?.[1] ?? 0);
let failed = Number(summary?.[2] ?? 0);
const leftOut = [...output.matchAll(/^(.*) \.\.\. ignored/gm)].map((match) => match[1]);
if (lacking.length > 0) {
  console.log(`not installed, and it takes root and apt-get to: ${lacking.join(", ")}`);
  if (Deno.env.get("CI") === "true") failed++;
}
for (const name of leftOut) console.log(`left out: ${name}`);
if (Deno.env.get("CI") === "true") failed += leftOut.length;
if ((!success || passed === 0) && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);
