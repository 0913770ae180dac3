// Nothing from outside changes what a proxy's configuration says: a value is refused, or it stands
// where it belongs and nowhere else. Thousands of hostile values, the same in every run.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { leftOutIf, run, tempFolder } from "../../../tests/harness.ts";
import { HOSTILE, NO_ADDRESSES } from "../../../tests/hostile.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { ScistreamError } from "../../protocol/errors.ts";
import { Uid } from "../../protocol/uid.ts";
import { haproxy } from "../haproxy.ts";
import { nginx } from "../nginx.ts";
import { stunnel } from "../stunnel.ts";
import type { Channel, ConfigFile, Plan, Proxy } from "./proxy.ts";
import { render } from "./render.ts";

const CASES = 4_000;
/** Of these, so many are shown to the proxies' own checkers. */
const CHECKED = 200;

const PROXIES = [haproxy, nginx, stunnel("default"), stunnel("null")];
const UID = Uid.parse("4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3");

/** What breaks out of a value in some language or other. */
const FRAGMENTS = [
  ..."\n\r\t\0 \x0b\x0c\x1b\x7f\x85\xa0\u2028\u2029\ufeff\u200b;{}#\"'\\`$%&|<>()[]*?!~^=,@/:.-_+",
  "\r\n",
  "\n\n",
  "$(id)",
  "${PATH}",
  "%[src]",
  "\\n",
  "%0a",
  "&#10;",
  "<%= 1 %>",
  "<%~ it %>",
  "//",
  "/*",
  "--",
  "..",
  "::",
  "%eth0",
  "unix@",
  "unix:",
  "fd@3",
  "\ud800",
  "\u{1f4a9}",
  "ü",
  "１",
  "x".repeat(300),
  "0",
  "a",
];

const ENDPOINTS = [
  "127.0.0.1:80",
  "0.0.0.0:65535",
  "[::1]:80",
  "[::]:5100",
  "[fe80::1]:80",
  "[::ffff:192.0.2.1]:80",
  "localhost:5000",
  "node_7:80",
  "instrument-1.beamline_2.example.invalid:5001",
  "a.:1",
];

/** Of Tommy Ettinger, "mulberry32": the same numbers in every run. */
function randomly(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

/** Values by the thousand: good ones that were tampered with, and ones of nothing but bad parts. */
function* tampered(good: readonly string[], harmless: string): Generator<string> {
  const below = randomly(20_240_805);
  const pick = (from: ArrayLike<string>) => from[below(from.length)] as string;
  const parts = (most: number, from: ArrayLike<string>) =>
    Array.from({ length: 1 + below(most) }, () => pick(from)).join("");
  for (let n = 0; n < CASES; n++) {
    const text = pick(good);
    const at = below(text.length + 1);
    const kind = n % 6;
    if (kind === 0) yield text.slice(0, at) + parts(2, FRAGMENTS) + text.slice(at);
    if (kind === 1) yield text.slice(0, at) + pick(FRAGMENTS) + text.slice(at + 1 + below(3));
    if (kind === 2) yield parts(12, FRAGMENTS) + (below(2) ? ":80" : "");
    if (kind > 2) yield text.slice(0, at) + parts(3, harmless) + text.slice(at);
  }
}

function plan(channels: Channel[], change: Partial<Plan> = {}): Plan {
  return {
    role: "CONS",
    channels,
    paths: { config: "/proc/self/cwd", run: "/proc/self/cwd/run" },
    limits: { threads: 2, connections: 1024, memory: 2048 },
    ...change,
  };
}

/** What `make` answers, or undefined when it refuses as it should: with this code, in one short line. */
function unlessRefused<T>(code: string, make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    assert(error instanceof ScistreamError, String(error));
    assertEquals(error.code, code, error.message);
    assert(!/[\p{Cc}\u2028\u2029]/u.test(error.message), error.message);
    assert(error.message.length < 400, error.message);
    return undefined;
  }
}

/**
 * Each proxy's configuration with this endpoint as a listener and as a target is the one with a
 * benign endpoint in its place, but for the endpoint itself. Answers how many took it.
 */
function assertStaysInPlace(endpoint: Endpoint): number {
  // What listens on every address has a word more.
  const benign = new Endpoint(endpoint.host === "::" ? "::" : "benign.example.org", 49_152);
  const other = Endpoint.parse("192.0.2.7:5100");
  const channels = (at: Endpoint) => [
    { listener: at, target: other },
    { listener: other, target: at },
    { listener: at },
  ];
  let taken = 0;
  for (const proxy of PROXIES) {
    const file = unlessRefused("BAD_FORMAT", () => proxy.config(plan(channels(endpoint))));
    if (!file) continue;
    taken++;
    const form = ({ host, port }: Endpoint) =>
      host.includes(":") && proxy.name !== "stunnel" ? `[${host}]:${port}` : `${host}:${port}`;
    const expected = proxy.config(plan(channels(benign))).text;
    assertEquals(expected.split(form(benign)).length - 1, proxy.name === "nginx" ? 6 : 3);
    if (file.text === expected.replaceAll(form(benign), () => form(endpoint))) continue;
    throw new Error(`${proxy.name} with ${JSON.stringify(endpoint)}:\n${file.text}`);
  }
  return taken;
}

Deno.test("hostile endpoints: refused, or exactly where they belong", () => {
  const taken = { by: 0, refused: 0 };
  for (const text of [...HOSTILE, ...ENDPOINTS, ...tampered(ENDPOINTS, "abc019.:-_[]f")]) {
    const endpoint = unlessRefused("BAD_FORMAT", () => Endpoint.parse(text));
    if (!endpoint) {
      taken.refused++;
      continue;
    }
    const by = assertStaysInPlace(endpoint);
    // Render is the last line of defence, and nothing gets that far but the name of an interface.
    if (by < PROXIES.length) assert(/%|^unix$/i.test(endpoint.host), text);
    if (by > 0) taken.by++;
    else taken.refused++;
  }
  for (const text of NO_ADDRESSES) {
    assertEquals(unlessRefused("BAD_FORMAT", () => Endpoint.parse(text)), undefined, text);
  }
  // So that this does not go blind.
  assert(taken.by > CASES / 10 && taken.refused > CASES / 3, JSON.stringify(taken));
});

Deno.test("hostile values that reach a template unvalidated by mistake: refused, or in their place", () => {
  let refused = 0;
  for (const host of [...HOSTILE, ...tampered(ENDPOINTS, "abc019.:-_[]f")]) {
    // A host with a colon is shown in brackets, as IPv6 addresses are.
    if (assertStaysInPlace(new Endpoint(host, 80)) === 0) refused++;
  }
  assert(refused > CASES / 3, String(refused));
  const listener = Endpoint.parse("127.0.0.1:80");
  for (const proxy of PROXIES) {
    const config = (change: Partial<Plan>) => proxy.config(plan([{ listener }], change));
    for (const bad of ["/tmp/a b", "/tmp/a\nb", "/tmp/a;b", '/tmp/"', "/tmp/#", "/tmp/$(id)"]) {
      const paths = { config: bad, run: bad };
      assertEquals(assertThrows(() => config({ paths }), ScistreamError).code, "BAD_FORMAT");
    }
  }
});

Deno.test("render: only what is harmless in every language, and nothing that is missing", () => {
  const safe = (value: unknown) => render("a <%= it.value %> b", { value });
  for (const good of ["a", 7, "[::1]:80", "0.0.0.0:1", "/proc/self/cwd/run", "a,b=c@d+e~f"]) {
    assertEquals(safe(good), `a ${good} b`);
  }
  for (const bad of [...FRAGMENTS, "", undefined, null, {}]) {
    if (typeof bad === "string" && /^[A-Za-z0-9._:/[\]@+,=~-]+$/.test(bad)) continue;
    const error = assertThrows(() => safe(bad), ScistreamError);
    assertEquals(error.code, "BAD_FORMAT", JSON.stringify(bad));
  }
});

Deno.test("nginx: a host whose name is that of another kind of address", () => {
  for (const text of ["unix:80", "Unix:80"]) {
    const channel = { listener: Endpoint.parse("127.0.0.1:80"), target: Endpoint.parse(text) };
    const error = assertThrows(() => nginx.config(plan([channel])), ScistreamError);
    assertEquals(error.code, "BAD_FORMAT");
    assertMatch(error.message, /nginx takes target .*; name the host in full/);
  }
});

Deno.test("templates: nothing goes in unchecked but words of their own", () => {
  const unchecked = ["haproxy", "nginx", "stunnel"].flatMap((name) => {
    const path = new URL(`../../../templates/${name}.eta`, import.meta.url);
    return [...Deno.readTextFileSync(path).matchAll(/<%~(.*?)%>/gs)].map((match) =>
      match[1]?.trim()
    );
  });
  assertEquals([...new Set(unchecked)], ["dual"], "look at it well before it is added here");
});

Deno.test("hostile uids: refused, or a key file of one line; they stand nowhere else", async () => {
  const listener = Endpoint.parse("127.0.0.1:80");
  const good = [
    UID.reveal(),
    "k".repeat(16),
    "0123456789abcdef0123456789abcdef",
    "a-b_c-d_e-f_g-h_",
  ];
  const hand = [
    ...HOSTILE,
    "client2:0123456789abcdef",
    "-".repeat(16),
    "_".repeat(64),
    `${UID.reveal()}\n`,
  ];
  let taken = 0;
  for (const text of [...hand, ...good, ...tampered(good, "abcdef0189_-Z")]) {
    const uid = unlessRefused("INVALID_UID", () => Uid.parse(text));
    if (!uid) continue;
    for (const proxy of PROXIES) {
      const given = plan([{ listener }], { role: "PROD" });
      if (!proxy.files) continue;
      const made = await proxy.files(given, uid).catch((error) => error);
      const files = unlessRefused("BAD_FORMAT", () => {
        if (made instanceof Error) throw made;
        return made as ConfigFile[];
      });
      if (!files) continue;
      taken++;
      assertEquals(files, [{ name: "stunnel.key", text: `client1:${text.replaceAll("-", "")}\n` }]);
      assertMatch(files[0]?.text ?? "", /^client1:[0-9A-Za-z_]{16,64}\n$/);
    }
  }
  assert(taken > CASES / 10, String(taken));
});

const { ignore, because } = leftOutIf(await whyNoCheckers());
Deno.test({
  name: `what is accepted, the proxies' own checkers find nothing wrong with${because}`,
  ignore,
  async fn() {
    using folder = tempFolder();
    const listener = Endpoint.parse("127.0.0.1:5100");
    const endpoints = accepted();
    assert(endpoints.length >= CHECKED, String(endpoints.length));
    const checked: [Proxy, Endpoint, string][] = [];
    for (const proxy of [haproxy, nginx]) {
      for (const target of endpoints) {
        const paths = { config: folder.path, run: folder.path };
        const file = unlessRefused(
          "BAD_FORMAT",
          () => proxy.config(plan([{ listener, target }], { paths })),
        );
        if (!file) continue;
        const path = `${folder.path}/${checked.length}.${proxy.name}`;
        Deno.writeTextFileSync(path, file.text);
        checked.push([proxy, target, path]);
      }
    }
    // Without a network nobody waits for a name server.
    const all = checked.map(([{ check }, , path]) => check?.(path).join(" ") ?? "");
    const script = `ip link set lo up; ${
      all.map((command, i) => `${command} >${checked[i]?.[2]}.out 2>&1; echo "exit $?"`).join("\n")
    }`;
    const path = `${folder.path}/script`;
    Deno.writeTextFileSync(path, script);
    const { out } = await run(["unshare", "--net", "sh", path]);
    const codes = out.split("\n").filter(Boolean);
    assertEquals(codes.length, checked.length);
    let ok = 0;
    for (const [i, [proxy, target, path]] of checked.entries()) {
      if (codes[i] === "exit 0") {
        ok++;
        continue;
      }
      const said = Deno.readTextFileSync(`${path}.out`);
      const complaints = said.split("\n").filter((line) =>
        /ALERT|WARN|emerg|alert|error/.test(line)
      );
      const others = complaints.filter((line) => !RESOLVING.test(line));
      assert(complaints.length > 0 && others.length === 0, `${proxy.name}, ${target}: ${said}`);
    }
    assert(ok > CHECKED / 4, `only ${ok} were found right`);
  },
});

/** What checkers say of names that have no address. */
const RESOLVING =
  /could not resolve address|no method found to resolve address|Failed to initialize server\(s\) addr|host not found in upstream/;

/** Targets that are accepted, each differing from the others; the hand-picked ones all. */
function accepted(): Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const text of [...HOSTILE, ...ENDPOINTS, ...tampered(ENDPOINTS, "abc019.:-_[]f")]) {
    if (found.size >= CHECKED) break;
    const endpoint = unlessRefused("BAD_FORMAT", () => Endpoint.parse(text));
    if (endpoint) found.set(String(endpoint), endpoint);
  }
  return [...found.values()];
}

async function whyNoCheckers(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only Linux's root leaves the network";
  for (const command of [["haproxy", "-v"], ["nginx", "-v"], ["unshare", "--net", "true"]]) {
    try {
      const { code, err } = await run(command);
      if (code !== 0) return `${command.join(" ")}: ${err.trim()}`;
    } catch {
      return `not installed: ${command[0]}`;
    }
  }
}
