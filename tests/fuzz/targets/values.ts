/**
 * The values of requests: addresses, uids, numbers, networks, certificates, messages.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { controlDefinition, type Method, METHODS } from "../../../lib/protocol/codec.ts";
import { Networks } from "../../../lib/protocol/cidr.ts";
import { Endpoint, parseHost, parsePort } from "../../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import { checkCertificate, checkKey } from "../../../lib/protocol/pem.ts";
import { bareToken } from "../../../lib/protocol/token.ts";
import { MOCK_UID, Uid } from "../../../lib/protocol/uid.ts";
import { parseNumConn, parseRate, parseRole, PortRange } from "../../../lib/protocol/values.ts";
import type { Gateway } from "../../../lib/s2cs/gateway.ts";
import { Observer } from "../../../lib/s2cs/observer.ts";
import { service } from "../../../lib/s2cs/service.ts";
import { attempt, attemptLater, type Target, textOf } from "../target.ts";
import { CERTIFICATE, KEY } from "./pem.ts";

const OURS = [ScistreamError];

const endpoint: Target = {
  name: "endpoint",
  seeds: [
    "127.0.0.1:80",
    "127.0.0.1:80\n",
    "[fd00::1]:5100",
    "node-1.example.org.:65535",
    "a:1, [::]:2",
  ],
  dictionary: ["[", "]", "::", "::ffff:1.2.3.4", "%eth0", "_", "a.".repeat(130), "0", ":"],
  run(bytes) {
    const text = textOf(bytes);
    for (const one of [() => [Endpoint.parse(text)], () => Endpoint.parseList(text)]) {
      const { value } = attempt(one, OURS);
      for (const each of value ?? []) {
        assert(each.port >= 1 && each.port <= 65535 && Number.isInteger(each.port));
        assert(/^[0-9A-Za-z_.:%-]+$/.test(each.host), each.host);
        assertEquals(Endpoint.parse(String(each)), each);
        assertEquals(JSON.stringify(each), JSON.stringify(String(each)));
      }
    }
    if (attempt(() => Endpoint.parse(text), OURS).value) {
      assert(/^[!-~]+$/.test(text), "more than an address");
    }
    const host = attempt(() => parseHost(text), OURS).value;
    if (host !== undefined) {
      assertEquals(parseHost(host), host);
      assert(isIP(host) !== 0 || /^[0-9A-Za-z_.-]{1,253}$/.test(host), host);
    }
    const port = attempt(() => parsePort(text), OURS).value;
    if (port !== undefined) assertEquals(text.replace(/^0+/, ""), String(port));
  },
};

/** Whatever stands in every refusal, whoever is refused. */
const REFUSED = attempt(() => Uid.parse("?"), OURS).error?.message ?? "";

const uid: Target = {
  name: "uid",
  seeds: [MOCK_UID, "short", "abcdefgh", "0123456789abcdef", `${MOCK_UID}\n`, "a".repeat(65)],
  dictionary: ["-", "_", MOCK_UID],
  run(bytes) {
    const text = textOf(bytes);
    // What may be somebody's secret with a slip of the finger is not for logs.
    const nearly = (text.match(/[0-9A-Za-z_-]{8,}/g) ?? []).filter((run) => !REFUSED.includes(run));
    const { value, error } = attempt(() => Uid.parse(text), OURS, nearly);
    if (error) return assertEquals((error as ScistreamError).code, "INVALID_UID");
    assert(value);
    assertEquals(value.reveal(), text);
    assertEquals(Uid.parse(text).hash, value.hash);
    const shown = [String(value), JSON.stringify({ value }), Deno.inspect(value), value.weakness];
    // A uid may be eight letters that stand in any sentence.
    if (text.length > 12) { for (const each of shown) assert(!each.includes(text), each); }
  },
};

const values: Target = {
  name: "values",
  seeds: ["PROD", "CONS", "5100-5200", "5101-5100", "5100", "2147483647", "-1", "0.5", "1e3"],
  run(bytes) {
    const text = textOf(bytes);
    const range = attempt(() => PortRange.parse(text), OURS).value;
    if (range) {
      assertEquals(PortRange.parse(String(range)), range);
      assert(range.first >= 1 && range.last <= 65535 && range.size >= 1);
    }
    const role = attempt(() => parseRole(text), OURS).value;
    if (role) assertEquals(role as string, text);
    const number = text.trim() === "" ? NaN : Number(text);
    for (const parse of [parseRate, parseNumConn]) {
      const value = attempt(() => parse(number), OURS).value;
      assert(value === undefined || Number.isInteger(value) && value >= 0);
    }
  },
};

const cidr: Target = {
  name: "cidr",
  seeds: ["192.168.20.0/24", "fd00::/8", "10.0.0.1", "::1", "0.0.0.0/0,::/0", "::ffff:10.0.0.1"],
  dictionary: ["/32", "/128", "/0", "::ffff:", "%eth0", ",", "/", "::", "10.1.2.3"],
  run(bytes) {
    const { value } = attempt(() => Networks.parseList(textOf(bytes), "allow"), OURS);
    if (!value) return;
    assertEquals(Networks.parseList(String(value)).texts, value.texts);
    for (const other of ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1", ""]) value.has(other);
    for (const text of value.texts) {
      const address = text.split("/", 1)[0] as string;
      assert(value.has(address), `${text} has its own address`);
    }
  },
};

const pem: Target = {
  name: "pem",
  seeds: [`${CERTIFICATE}${KEY}`, CERTIFICATE, KEY, "-----BEGIN CERTIFICATE-----\nMIIB"],
  dictionary: ["-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", CERTIFICATE, KEY],
  run(bytes) {
    const file = { pem: bytes, name: "server.crt" };
    attempt(() => checkCertificate(bytes, "server.crt"), OURS);
    attempt(() => checkKey(file, { ...file, name: "server.key" }), OURS);
    const good = { pem: new TextEncoder().encode(CERTIFICATE), name: "server.crt" };
    attempt(() => checkKey(good, { ...file, name: "server.key" }), OURS);
  },
};

const token: Target = {
  name: "token",
  seeds: ["Bearer AgpQoBo1VvvY", "INVALID_TOKEN", "bearer  x", `Bearer ${" ".repeat(99)}`],
  dictionary: ["Bearer ", "bearer", " "],
  run(bytes) {
    const text = textOf(bytes);
    const secret = bareToken(text);
    assert(text.endsWith(secret.reveal()));
    assertEquals(`${secret} ${JSON.stringify(secret)}`, '*** "***"');
    assertEquals(Deno.inspect(secret), "Secret(***)");
  },
};

/** A gateway that does nothing: what gets to it has been found good. */
const IDLE = {
  enforcesRates: true,
  req: ({ numConn, rate }: { numConn: number; rate: number }) => {
    assert(Number.isInteger(numConn) && numConn >= 1 && Number.isInteger(rate) && rate >= 0);
    return Promise.resolve({ listeners: [], prodListeners: [] });
  },
  hello: () => Promise.resolve([]),
  update: () => Promise.resolve({ listeners: [], prodListeners: [] }),
  release: () => Promise.resolve(),
  status: () => Promise.reject(new ScistreamError("INVALID_UID", "none")),
  list: () => Promise.resolve([]),
} as unknown as Gateway;

/** A message as it is on the wire, behind the number of its method. */
function message(method: Method, request: object): Uint8Array {
  const bytes = controlDefinition[method]?.requestSerialize(request) as Uint8Array;
  return new Uint8Array([METHODS.indexOf(method), ...bytes]);
}

const messages: Target = {
  name: "messages",
  seeds: [
    message("req", { uid: MOCK_UID, role: "PROD", num_conn: 2, rate: 5, allow: ["10.0.0.0/8"] }),
    message("hello", { uid: MOCK_UID, role: "CONS", prod_listeners: ["127.0.0.1:80"] }),
    message("update", { uid: MOCK_UID, role: "PROD", remote_listeners: ["[::1]:80"], rate: -1 }),
    message("release", { uid: MOCK_UID, force: true }),
    message("status", { session: "1a2b3c4d" }),
    message("list", {}),
    message("whoami", {}),
    message("watch", { session: "1a2b3c4d" }),
    message("watch", {}),
  ],
  dictionary: [MOCK_UID, "PROD", "CONS", "\x0a\x01", "\x12\x00", "\xff\xff\xff\xff\x0f"],
  async run(bytes) {
    const method = METHODS[(bytes[0] ?? 0) % METHODS.length] as Method;
    const definition = controlDefinition[method];
    assert(definition);
    let request: object;
    try {
      request = definition.requestDeserialize(Buffer.from(bytes.subarray(1)));
    } catch {
      // grpc-js answers INTERNAL to whatever protobufjs throws.
      return;
    }
    const again = definition.requestDeserialize(definition.requestSerialize(request));
    assertEquals(again, request);
    const caller = { signal: AbortSignal.abort() };
    const observer = new Observer(() => Promise.resolve([]));
    const watching = { observer, closing: caller.signal };
    const serve = service(IDLE, "Mock", watching)[method] as (
      message: object,
      caller: object,
    ) => Promise<unknown>;
    await attemptLater(async () => await serve(request, caller), OURS);
  },
};

/** Those of this file. */
export const valueTargets: readonly Target[] = [endpoint, uid, values, cidr, pem, token, messages];
