import { assert, assertEquals } from "@std/assert";
import { freePort, tempFolder } from "../../../tests/harness.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { Uid } from "../../protocol/uid.ts";
import { Processes } from "./processes.ts";
import { Proxied } from "./proxied.ts";
import type { Job, Proxy } from "./proxy.ts";

/** As stunnel does it: it tells its pid, and only later, here when the test says so, heeds signals. */
const SLOW = `
  system "mkfifo ready";
  open PID, ">run/pid"; print PID $$; close PID;
  open READY, "<ready";
  $| = 1;
  $SIG{HUP} = sub { print "reloaded\\n" };
  sleep 1000 while 1;`;

const slow: Proxy = {
  name: "slow",
  package: "perl-base",
  image: "slow:latest",
  configFolder: "/etc/slow",
  udp: false,
  mostTasks: 1,
  stopSignal: "SIGTERM",
  config: ({ channels }) => ({ name: "slow.conf", text: JSON.stringify(channels) }),
  command: () => ["perl", "-e", SLOW],
  reload: (running) =>
    running.signalUntil("SIGHUP", (lines) => lines.includes("reloaded") ? "done" : "wait", 50),
  drain: (running) => running.signal("SIGTERM"),
  complaint: () => "",
};

/** Counts signals. */
class Watched extends Processes {
  sent = 0;
  readonly first = Promise.withResolvers<void>();

  override signal(job: Job, signal: Deno.Signal): Promise<void> {
    this.sent++;
    this.first.resolve();
    return super.signal(job, signal);
  }
}

Deno.test("a proxy that is asked to reload before it heeds signals goes on, and is asked again", async () => {
  using folder = tempFolder();
  const told: string[] = [];
  let runner: Watched | undefined;
  const proxied = new Proxied(
    "Slow",
    slow,
    (events) => runner = new Watched(events),
    { limits: { threads: 1, connections: 1, memory: 1 } },
    {
      onFault: (_session, reason) => told.push(`fault: ${reason}`),
      onDown: (_session, reason) => told.push(`down: ${reason}`),
      onUp: () => told.push("up"),
      onLog: (level, message) => told.push(`${level}: ${message}`),
    },
  );
  await proxied.start({ folder: folder.path, gateway: new Endpoint("127.0.0.1", 5000) });
  try {
    const uid = Uid.random();
    const at = new Endpoint("127.0.0.1", freePort());
    await proxied.open({ uid, role: "PROD", listeners: [at] });
    const changed = proxied.target(uid.hash, [at]);
    await runner?.first.promise;
    const [session] = [...Deno.readDirSync(`${folder.path}/sessions`)];
    // For both, or it would wait for somebody who reads.
    using _ready = await Deno.open(`${folder.path}/sessions/${session?.name}/ready`, {
      read: true,
      write: true,
    });
    await changed;
    assert((runner?.sent ?? 0) > 1);
    assertEquals(told, []);
  } finally {
    await proxied.stop();
  }
});
