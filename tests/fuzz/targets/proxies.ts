/**
 * What stands in proxies' configurations: whatever is taken renders to what a harmless value renders
 * to, but for itself. And proxies' logs, which hold what strangers sent.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Peer } from "../../../lib/docker/test_peer.ts";
import { Endpoint } from "../../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import { MOCK_UID, Uid } from "../../../lib/protocol/uid.ts";
import { haproxy } from "../../../lib/s2ds/haproxy.ts";
import { nginx } from "../../../lib/s2ds/nginx.ts";
import type { Channel, Job, Plan, Proxy } from "../../../lib/s2ds/proxy/proxy.ts";
import { gist } from "../../../lib/s2ds/proxy/gist.ts";
import { stunnel } from "../../../lib/s2ds/stunnel.ts";
import { assertSentence, attempt, attemptLater, type Target, textOf } from "../target.ts";

const PROXIES = [haproxy, nginx, stunnel("default"), stunnel("null")];
const OURS = [ScistreamError];

function plan(channels: readonly Channel[], role: Plan["role"] = "CONS"): Plan {
  return {
    role,
    channels,
    paths: { config: "/etc/proxy", run: "/run/scistream" },
    limits: { threads: 2, connections: 1024, memory: 2048 },
  };
}

/** The words of a configuration and what is between them; undefined if a value was refused. */
function words(proxy: Proxy, listener: Endpoint, target: Endpoint): string[] | undefined {
  const { value } = attempt(() => proxy.config(plan([{ listener, target }])).text, OURS);
  // What says that every address of both kinds is meant is ours.
  return value?.replaceAll(/ v4v6| ipv6only=off/g, "").split(/([\s;{}#"'`$\\])/);
}

const BENIGN = new Endpoint("benign.example", 54321);
const OTHER = new Endpoint("192.0.2.77", 5177);

const templates: Target = {
  name: "templates",
  seeds: ["10.0.0.1", "fd00::1", "node-1.example.org", "::", "unix", "h;\n}", "<%= 1 %>"],
  dictionary: [
    "127.0.0.1",
    "\nserver x",
    ";",
    "}",
    "{",
    "#",
    "unix:",
    "$host",
    "\\",
    '"',
    "\n[x]\nconnect = h",
    "%eth0",
    "\u2028",
    "<%",
    "~ it %>",
  ],
  fresh: 300,
  run(bytes) {
    const text = textOf(bytes);
    const parsed = attempt(() => Endpoint.parse(`${text}:54321`), OURS).value;
    // Also what never came by Endpoint.parse: the templates are the last line of defence.
    for (const target of [new Endpoint(text, 54321), ...parsed ? [parsed] : []]) {
      for (const proxy of PROXIES) {
        for (const place of ["target", "listener"]) {
          const configured = (end: Endpoint) =>
            place === "target" ? words(proxy, OTHER, end) : words(proxy, end, OTHER);
          const [got, benign] = [configured(target), configured(BENIGN)];
          if (!got || !benign) continue;
          const same = benign.map((word, i) => word.includes(BENIGN.host) ? got[i] : word);
          assertEquals(got, same, `${proxy.name} ${place}`);
        }
      }
    }
  },
};

const keys: Target = {
  name: "stunnel_keys",
  seeds: [MOCK_UID, "abcdefgh", "0123456789abcdef0123456789abcdef", "Z".repeat(64), "a\n:b"],
  dictionary: ["-", "client1:", "\n"],
  fresh: 150,
  async run(bytes) {
    const uid = attempt(() => Uid.parse(textOf(bytes)), OURS).value;
    if (!uid) return;
    const bare = uid.reveal().replaceAll("-", "");
    const secrets = bare.length >= 8 && uid.reveal().length > 12 ? [uid.reveal()] : [];
    const { value } = await attemptLater(
      // The producer's side makes no certificate, which would take most of the time.
      async () => await stunnel("default").files?.(plan([], "PROD"), uid),
      OURS,
      secrets,
    );
    if (value) assertEquals(value.map(({ text }) => text), [`client1:${bare}\n`]);
  },
};

const LOG = [
  "01/Jan/2026 ch0 ended=SC target=h",
  "x ch0 ended=sC target=<NOSRV>",
  "2026/01/01 [error] 7#7: *1 connect() failed while connecting, server: 192.0.2.77:5177, x",
  "access forbidden by rule, server: 192.0.2.77:5177",
  "LOG5[3]: Service [ch0] accepted connection from x",
  "LOG3[3]: s_connect: connect h: Connection refused",
  "LOG3[3]: SSL_accept: peer error",
];

const logs: Target = {
  name: "proxy_logs",
  seeds: [...LOG, LOG.join("\n")],
  dictionary: [...LOG.map((line) => `\n${line}`), " ch0 ", "ended=", "<NOSRV>", "LOG3[3]: "],
  run(bytes) {
    const lines = textOf(bytes).split("\n");
    for (const proxy of PROXIES) {
      for (const target of [undefined, BENIGN]) {
        const complaint = proxy.complaint(lines, { listener: OTHER, target }, 0);
        assert(typeof complaint === "string" && !complaint.includes("\n"));
      }
      const job = { folder: "/run/x", proxy } as Job;
      const told = gist(lines, job);
      assert(told.length > 0 && told.length <= 600 && !told.includes("\n"));
      if (!/[\p{Cc}\u2028\u2029]/u.test(textOf(bytes).replaceAll("\n", ""))) assertSentence(told);
    }
  },
};

/** A line of HAProxy's statistics has a name for each column on the first line. */
const STATISTICS = [
  "# pxname,svname,scur,stot,econ,bin,bout",
  "ch0,FRONTEND,1,2,,300,4",
  "ch0,BACKEND,1,2,5,300,4",
  "ch1,FRONTEND,1,x,1e999",
  "ch1,BACKEND",
].join("\n");

let answer: Uint8Array = new Uint8Array();
let folder = "";

const statistics: Target = {
  name: "haproxy_statistics",
  seeds: [STATISTICS, "", "# pxname\n", "Unknown command\n"],
  dictionary: ["ch0,", "FRONTEND", "BACKEND", ",", "\n", "scur", "1e999", "-1"],
  fresh: 200,
  prepare() {
    const peer = new Peer(async ({ conn }) => {
      await conn.read(new Uint8Array(4096));
      for (let at = 0; at < answer.length;) at += await conn.write(answer.subarray(at));
    });
    folder = Deno.makeTempDirSync();
    Deno.symlinkSync(peer.socket, `${folder}/api`);
    return Promise.resolve({
      async [Symbol.asyncDispose]() {
        await peer[Symbol.asyncDispose]();
        Deno.removeSync(folder, { recursive: true });
      },
    });
  },
  async run(bytes) {
    answer = bytes;
    const { value } = await attemptLater(async () => await haproxy.count?.(folder, 2), OURS);
    if (!value) return;
    assertEquals(value.length, 2);
    for (const channel of value) {
      for (const number of Object.values(channel).filter((each) => typeof each === "number")) {
        assert(Number.isFinite(number) && number >= 0, `a number ${number}`);
      }
    }
  },
};

/** Those of this file. */
export const proxyTargets: readonly Target[] = [templates, keys, logs, statistics];
