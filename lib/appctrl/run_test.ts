import { assertEquals, assertThrows } from "@std/assert";
import { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { fillListeners } from "./run.ts";

const LISTENERS = [new Endpoint("10.0.0.1", 5100), new Endpoint("fd00::1", 5101)];

Deno.test("placeholders are filled, everything else is left alone", () => {
  const cases: [string, string][] = [
    ["{listener}", "10.0.0.1:5100"],
    ["{listener1}", "10.0.0.1:5100"],
    ["tcp://{listener2}/x", "tcp://[fd00::1]:5101/x"],
    ["{host}", "10.0.0.1"],
    ["{host2} {port2}", "fd00::1 5101"],
    ["{} {listeners} {listener02} ${port} {HOST}", "{} {listeners} {listener02} $5100 {HOST}"],
    ["", ""],
  ];
  for (const [argument, filled] of cases) assertEquals(fillListeners(argument, LISTENERS), filled);
});

Deno.test("a placeholder without a listener is an error that names it", () => {
  assertThrows(
    () => fillListeners("{listener3}", LISTENERS),
    ScistreamError,
    "name {listener3}, but the session has 2",
  );
});

const PROGRAM = `
  import { runApplication } from ${JSON.stringify(new URL("./run.ts", import.meta.url).href)};
  const command = ["tail", "-f", "/dev/null"];
  // Once signals are the application's, one comes before it is there.
  const takeOver = () => Deno.kill(Deno.pid, "SIGTERM");
  Deno.exit(await runApplication({ command, listeners: [] }, takeOver));
`;

Deno.test("a signal that comes before the application is there ends it, and not us without it", async () => {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--config", config, PROGRAM],
    stdin: "null",
    stdout: "null",
  }).spawn();
  const { code, signal } = await child.status;
  // It ended by itself, with what the signal made of the application.
  assertEquals([code, signal], [128 + 15, null]);
});
