// Opens connections to a control server, each with a req that stays pending, says so, and waits to
// be killed: ADDRESS CERT COUNT NAME.
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";

const [address, cert, count, name] = Deno.args as [string, string, string, string];
const roots = Deno.readFileSync(cert);
for (let i = 0; i < Number(count); i++) {
  const client = new ControlClient({ address: Endpoint.parse(address), roots });
  client.call("req", { uid: `${name}-vanishing-${i}`, role: "PROD", num_conn: 1, rate: 0 }).catch(
    (error) => {
      console.error(String(error));
      Deno.exit(1);
    },
  );
  // Every client's connection is up before the next one starts.
  await client.call("status", { uid: "unknown-uid" }).catch(() => {});
}
console.log("all pending");
