/**
 * An echo server, or a flow over a session, as a process of its own: for hosts that are network
 * namespaces.
 *
 *     faults_flow.ts echo HOST        prints where it listens
 *     faults_flow.ts flow HOST:PORT   prints `open`, and answers the lines `moves` and `finish`
 * @module
 */
import { EchoServer } from "./echo.ts";
import { Flow } from "./faults.ts";

const [what, where] = Deno.args as [string, string];
if (what === "echo") {
  console.log(`echo at ${new EchoServer(where).endpoint}`);
} else {
  const flow = await Flow.open(where);
  console.log("open");
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    for (const line of text.split("\n").filter(Boolean)) {
      if (line === "moves") await flow.moves();
      if (line === "finish") await flow.finish();
      console.log(`${line}: done`);
      if (line === "finish") Deno.exit(0);
    }
  }
}
