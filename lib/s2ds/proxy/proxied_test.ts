// What a proxy that is slow, or ends, does to the session that it serves.
import { assert, assertEquals } from "@std/assert";
import { eventually, freePort, tempFolder } from "../../../tests/harness.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { Uid } from "../../protocol/uid.ts";
import { Processes } from "./processes.ts";
import { Proxied } from "./proxied.ts";
import type { Job, Proxy } from "./proxy.ts";

/** As stunnel does it: it tells its pid, and only later, here when the test says so, heeds signals. */
const SLOW = `
  if (-e "broken") { print "cannot start\\n"; exit 1 }
  system "mkfifo ready" unless -e "ready";
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
  sharesPorts: false,
  listens: () => true,
  leaves: () => false,
  mostTasks: 1,
  stopSignal: "SIGTERM",
  config: ({ channels }) => ({ name: "slow.conf", text: JSON.stringify(channels) }),
  command: () => ["perl", "-e", SLOW],
  reload: (running) =>
    running.signalUntil("SIGHUP", (lines) => lines.includes("reloaded") ? "done" : "wait", 5),
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

/** A session of a slow proxy, asked to reload, and signalled once. */
class Reloading implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly told: string[] = [];
  runner!: Watched;
  readonly #proxied = new Proxied(
    "Slow",
    slow,
    (events) => this.runner = new Watched(events),
    { limits: { threads: 1, connections: 1, memory: 1 } },
    {
      onFault: (_session, reason) => this.told.push(`fault: ${reason}`),
      onDown: (_session, reason) => this.told.push(`down: ${reason}`),
      onUp: () => this.told.push("up"),
      onNote: () => {},
      onLog: () => {},
    },
  );
  /** Resolves when it has reloaded. */
  done!: Promise<void>;
  /** Its folder. */
  session = "";

  static async start(): Promise<Reloading> {
    const reloading = new Reloading();
    const proxied = reloading.#proxied;
    const { path } = reloading.#folder;
    await proxied.start({ folder: path, gateway: new Endpoint("127.0.0.1", 5000) }, []);
    const uid = Uid.random();
    const at = new Endpoint("127.0.0.1", freePort());
    await proxied.open({
      uid,
      role: "PROD",
      node: "",
      listeners: [at],
      allow: [],
      limit: 0,
      record: "",
    });
    const session = [...Deno.readDirSync(`${path}/sessions`)].find((each) => each.isDirectory);
    reloading.session = `${path}/sessions/${session?.name}`;
    reloading.done = proxied.target(uid.hash, [at], "");
    await reloading.runner.first.promise;
    return reloading;
  }

  /** From now on it heeds signals; until this is disposed, also when it is started again. */
  async heed(): Promise<Disposable> {
    // Opened for both, or it would wait for somebody who reads.
    return await Deno.open(`${this.session}/ready`, { read: true, write: true });
  }

  async [Symbol.asyncDispose]() {
    await this.#proxied.stop();
    this.#folder[Symbol.dispose]();
  }
}

Deno.test("a proxy that is asked to reload before it heeds signals goes on, and is asked again", async () => {
  await using reloading = await Reloading.start();
  using _heeding = await reloading.heed();
  await reloading.done;
  assert(reloading.runner.sent > 1);
  assertEquals(reloading.told, []);
});

Deno.test("a proxy that ends while it is asked is asked again when it is back", async () => {
  await using reloading = await Reloading.start();
  const { told, session, runner } = reloading;
  Deno.writeTextFileSync(`${session}/broken`, "");
  Deno.kill(Number(Deno.readTextFileSync(`${session}/run/pid`)), "SIGKILL");
  await eventually("it could not be started", () => told.some((line) => /cannot start/.test(line)));
  const { sent } = runner;
  await eventually("it is asked while it is away", () => runner.sent > sent);
  Deno.removeSync(`${session}/broken`);
  using _heeding = await reloading.heed();
  await reloading.done;
  assertEquals(told.at(-1), "up");
});
