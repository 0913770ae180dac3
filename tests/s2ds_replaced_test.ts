// s2ds with one session of a file: another process takes its place, on the same port.
import { assert, assertEquals } from "@std/assert";
import { numbersOf } from "../lib/s2ds/forwarder/numbers.ts";
import { assertOk, KEYBOARD, leftOutIf, SCISTREAM } from "./harness.ts";
import { Network, unavailable } from "./topology.ts";

const { ignore, because } = leftOutIf(unavailable());

Deno.test({
  name: `alone: another takes its place, and nobody who connects meanwhile is refused${because}`,
  ignore,
  async fn() {
    await using network = await Network.create();
    const { consumers2: here, consumer: client } = network;
    const address = "192.168.30.10:5100";
    // What waits to be accepted goes to the next listener (Linux 5.14, tcp_migrate_req).
    assertOk(await here.run(["sysctl", "-qw", "net.ipv4.tcp_migrate_req=1"]));
    const app = here.start(["socat", "TCP-LISTEN:6000,fork,reuseaddr,backlog=512", "PIPE"]);
    await here.listening(6000);
    const session = {
      role: "CONS",
      listeners: [address],
      targets: ["127.0.0.1:6000"],
      allow: [],
      rate: 0,
      udp: false,
    };
    Deno.writeTextFileSync(`${here.folder}/session`, JSON.stringify(session));
    const start = async () => {
      const process = here.start([...SCISTREAM, "s2ds", "--session=session"]);
      await process.line(/^listening\n/);
      return process;
    };
    let now = await start();
    const knock = new URL("knocking.ts", import.meta.url).pathname;
    const knocking = client.start([Deno.execPath(), "run", "--allow-net", knock, address], {
      stdin: KEYBOARD,
    });
    await knocking.line(/knocking/);
    for (let i = 0; i < 5; i++) {
      const next = await start();
      assertOk(await now.stop());
      const [channel] = now.out.split("\n").map(numbersOf).findLast((told) => told)?.channels ?? [];
      assert(channel && channel.connectionsTotal > 0);
      now = next;
    }
    await knocking.child.stdin.close();
    const { out } = assertOk(await knocking.ended);
    const { good, bad } = JSON.parse(out.trim().split("\n").at(-1) as string);
    assertEquals(bad, []);
    assert(good > 100);
    await app.stop();
    await now.stop();
  },
});
