import { assertEquals } from "@std/assert";

const PROGRAM = `
  import net from "node:net";
  import { survive } from ${JSON.stringify(new URL("./survive.ts", import.meta.url).href)};
  survive((message) => console.log(message.split("\\n")[0]));
  setTimeout(() => { throw new Error("in a timer"); });
  Promise.reject(new Error("in a promise"));
  net.connect({ host: "127.0.0.1", port: 1 }); // its error has no listener
  setTimeout(() => console.log("still here"), 200);
`;

Deno.test("what nothing caught is logged, and the process goes on", async () => {
  const config = new URL("../deno.json", import.meta.url).pathname;
  const args = ["eval", "--quiet", "--config", config, PROGRAM];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n").sort();
  assertEquals([code, lines], [0, [
    "still here",
    "unhandled: Error: connect ECONNREFUSED 127.0.0.1:1",
    "unhandled: Error: in a promise",
    "unhandled: Error: in a timer",
  ]]);
});
