import { assert, assertEquals, assertMatch } from "@std/assert";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { ControlClient } from "../lib/protocol/client.ts";
import type { UnaryMethod } from "../lib/protocol/codec.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { assertOk, Gateway, run, Running, SCISTREAM, scistream, tempFolder } from "./harness.ts";

const MOCK = "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3";

/** Every option and argument with something wrong: exit code 2 and one line that names it. */
const COMMAND_LINES: [string[], RegExp][] = [
  [[], /^SciStream 0/],
  [["s2c"], /unknown command "s2c"; did you mean s2cs\?/],
  [["bogus"], /unknown command "bogus"; there are s2cs, s2uc, appctrl, s2ds, cert/],
  [["s2uc"], /missing command: choose one of prod-req/],
  [["s2uc", "bogus"], /unknown command "bogus"/],
  [["help", "bogus"], /unknown command "bogus"/],
  [["help", "s2uc", "bogus"], /no help on "s2uc bogus"/],
  [["s2cs", "--port", "65536"], /--port: "65536" is not a whole number from 0 to 65535/],
  [["s2cs", "--port", "http"], /--port: "http"/],
  [["s2cs", "--port"], /option --port needs a value/],
  [["s2cs", "--listener-ip", "a b"], /--listener-ip: host "a b" is neither/],
  [["s2cs", "--wan-ip", "300.1.1.1"], /--wan-ip: host "300.1.1.1"/],
  [["s2cs", "--port-range", "9-1"], /--port-range: port range "9-1" ends before it begins/],
  [["s2cs", "--port_range", "x"], /--port-range: first port of port range "x"/],
  [
    ["s2cs", "--type", "Nope"],
    /\[BAD_FORMAT\] data server type "Nope" is unknown; choose one of S2DS, Haproxy, .*, Mock/,
  ],
  [
    ["s2cs", "--type", "janus"],
    /--type Janus needs --janus-url URL/,
  ],
  [["s2cs", "--stunnel-ciphers", "NULL"], /--stunnel-ciphers: "NULL" is neither default nor null/],
  [
    ["s2cs", "--ssl=False", "--docker-socket", "tcp://h:1"],
    /BAD_FORMAT\] --docker-socket is "tcp:\/\/h:1", and without TLS/,
  ],
  [["s2cs", "--proxy-memory", "1"], /--proxy-memory: "1" is not a whole number from 64/],
  [["s2cs", "--ssl", "maybe"], /unexpected argument "maybe"/],
  [["s2cs", "--ssl=maybe"], /--ssl: "maybe" is neither True nor False/],
  [
    ["s2cs", "--server-crt", "/nonexistent"],
    /cannot read the certificate \/nonexistent: .*scistream cert/,
  ],
  [["s2cs", "--hello-timeout", "-1"], /--hello-timeout: "-1"/],
  [["s2cs", "--drain-timeout", "soon"], /--drain-timeout: "soon"/],
  [["s2cs", "--max-sessions", "0"], /--max-sessions: "0"/],
  [["s2cs", "--max-conn", "1.5"], /--max-conn: "1.5"/],
  [["s2cs", "--client-secret-file", "s3cret"], /--client-id is missing/],
  [["s2cs", "--jwt", "--client-id", "c"], /--jwt verifies tokens of an --issuer/],
  [
    ["s2cs", "--issuer", "https://idp.example", "--client-id", "c"],
    /--issuer needs --client-secret-file/,
  ],
  [
    ["s2cs", "--issuer", "ftp://idp.example", "--client-id", "c", "--jwt"],
    /"ftp:\/\/idp\.example" is not/,
  ],
  [
    ["s2cs", "--client-id", "c", "--client-secret-file", "x", "--ssl=False"],
    /--ssl=False would send tokens in the clear/,
  ],
  [["s2cs", "--allow", "user:alice@anl.gov"], /--allow user:.* is about authenticated callers/],
  [["s2cs", "--allow", "alice@anl.gov"], /--allow: network "alice@anl.gov" is not ADDRESS/],
  [["s2cs", "--admin", "alice"], /--admin: rule "alice" is none of user:NAME/],
  [["s2cs", "--admin", "id:7"], /--admin is about authenticated callers/],
  [["s2cs", "--quota-sessions", "5"], /--quota-… is about authenticated callers/],
  [["s2cs", "--quota-rate", "5", "--rate-policy", "ignore"], /--quota-rate bounds rates/],
  [["s2cs", "--config", "/nonexistent"], /cannot read the configuration file \/nonexistent/],
  [["s2cs", "--bogus"], /unknown option "--bogus"/],
  [["s2cs", "stop"], /unexpected argument "stop"|unknown command "stop"/],
  [["s2cs", "--", "x"], /unexpected argument "--"/],
  [["s2uc", "prod-req", "--num_conn", "0"], /--num-conn: num_conn 0 is not a number of channels/],
  [["s2uc", "prod-req", "--num_conn", "many"], /--num-conn: "many" is not a number/],
  [["s2uc", "prod-req", "--rate=-1"], /--rate: rate -1 is not a whole number of kilobytes/],
  [["s2uc", "prod-req", "--s2cs", "localhost"], /--s2cs: address "localhost" is not HOST:PORT/],
  [
    ["s2uc", "prod-req", "--server_cert", "/nonexistent"],
    /cannot read the control server's certificate \/nonexistent/,
  ],
  [
    ["s2uc", "prod-req", "--server_cert", "/etc/hostname"],
    /\[BAD_FORMAT\] \/etc\/hostname holds no PEM certificate/,
  ],
  [["s2uc", "prod-req", "--mock=perhaps"], /--mock: "perhaps" is neither True nor False/],
  [["s2uc", "prod-req", "extra"], /unexpected argument "extra"/],
  [["s2uc", "cons-req"], /missing argument UID/],
  [["s2uc", "cons-req", MOCK], /missing argument PROD_LSTN/],
  [["s2uc", "cons-req", "../../etc/x", "h:1"], /\[INVALID_UID\] uid "..\/..\/etc\/x" is malformed/],
  [
    ["s2uc", "cons-req", MOCK, "nowhere"],
    /\[BAD_FORMAT\] producer's listener "nowhere" is not HOST:PORT/,
  ],
  [["s2uc", "inbound-request", "--remote_ip", "a/b"], /--remote-ip: host "a\/b"/],
  [
    ["s2uc", "inbound_request", "--receiver_ports", "1,,2"],
    /--receiver-ports: port "" is not a number/,
  ],
  [["s2uc", "outbound-request", MOCK, "h:99999"], /port of producer's listener "99999"/],
  [["s2uc", "connect", "--prod-s2cs", ":"], /--prod-s2cs: address ":"/],
  [["s2uc", "connect", "--prod-wan-ip", "::g"], /--prod-wan-ip: host "::g"/],
  [["s2uc", "release"], /which session\? Give one of UID, --session and --all/],
  [["s2uc", "release", MOCK, "--all"], /which session\? Give only one of UID/],
  [["s2uc", "login"], /nothing to log in for: give --scope/],
  [["s2uc", "login", "--scope", "a b"], /scope "a b" is not one/],
  [
    ["s2uc", "login", "--scope", "s", "--issuer", "http://idp.example", "--client-id", "c"],
    /is not https:\/\//,
  ],
  [
    ["s2uc", "login", "--scope", "s", "--issuer", "idp.example", "--client-id", "c"],
    /is not an https/,
  ],
  [["s2uc", "login", "--scope", "s", "--issuer", "https://idp.example"], /--client-id is missing/],
  [
    ["s2uc", "login", "--scope", "s", "--browser", "--redirect-uri", "https://evil.example/"],
    /needs a redirect URI on this machine/,
  ],
  [["s2uc", "logout", "--scope", "s"], /you are not logged in for s/],
  [["s2uc", "check-auth", "--ip", "10.9.9.9"], /no control server at 10\.9\.9\.9/],
  [["s2uc", "create-scope"], /--client-id and --client-secret-file are needed/],
  [
    ["s2uc", "create-scope", "--client-id", "c", "--client-secret-file", "/nonexistent"],
    /cannot read the client secret \/nonexistent/,
  ],
  [["s2uc", "release", "short"], /\[INVALID_UID\] uid "short"/],
  [
    ["s2uc", "check-status", "x".repeat(2000)],
    /\[INVALID_UID\] uid of 2000 characters is malformed/,
  ],
  [["s2uc", "list", "--json=2"], /--json: "2"/],
  [["appctrl", "mock", MOCK, "h:1", "T"], /missing argument ROLE/],
  [
    ["appctrl", "mock", MOCK, "h:1", "T", "BOTH"],
    /\[BAD_FORMAT\] role "BOTH" is neither PROD nor CONS/,
  ],
  [["appctrl", "mock", MOCK, "h", "T", "PROD"], /control server "h" is not HOST:PORT/],
  [["appctrl", "mock", MOCK, "h:1", "T", "PROD", "a b"], /application's address "a b"/],
  [["appctrl", "mock", MOCK, "h:1", "T", "PROD", "--ports", "x"], /--ports: port "x"/],
  [["appctrl", "create-appctrl", "bad uid!", "h:1", "T", "PROD"], /\[INVALID_UID\]/],
  [
    ["appctrl", "run", MOCK, "h:1", "T", "CONS"],
    /missing the application: appctrl run … -- COMMAND/,
  ],
  [["appctrl", "run", MOCK, "h:1", "T", "PROD", "--", "true"], /a producer needs --listen/],
  [
    ["appctrl", "run", MOCK, "h:1", "T", "PROD", "--listen", "0", "--", "true"],
    /--listen: port "0"/,
  ],
  [[
    "appctrl",
    "run",
    MOCK,
    "h:1",
    "T",
    "PROD",
    "--ip",
    "1.1.1.1",
    "--listen",
    "5",
    "--",
    "x",
    "{listener2}",
  ], /name {listener2}, but the session has 1/],
  [["appctrl", "iperf-server", "x"], /port "x"/],
  [["appctrl", "iperf-client", "x"], /target "x" is not HOST:PORT/],
  [["appctrl", "run-producer", "x"], /port "x"/],
  [["appctrl", "run-producer", "--count", "-1"], /--count: "-1"/],
  [["appctrl", "run-producer", "--interval", "x"], /--interval: "x"/],
  [["appctrl", "subscribe", "x"], /target "x" is not HOST:PORT/],
  [["s2ds", "--bogus"], /unknown option "--bogus"/],
  [["doctor", "--s2cs", "nowhere"], /--s2cs: control server "nowhere" is not HOST:PORT/],
  [["doctor", "--type", "bogus"], /data server type "bogus" is unknown; choose one of S2DS/],
  [["doctor", "--config", "/nonexistent"], /cannot read the configuration file \/nonexistent/],
  [["init", "--yes", "--listener-ip", "a b"], /--listener-ip: host "a b" is neither/],
  [["init", "--yes", "--port", "70000"], /--port: "70000" is not a whole number from 0 to 65535/],
  [["cert"], /name at least one --ip ADDRESS or --dns NAME/],
  [["cert", "--ip", "host"], /--ip: "host" is not an IP address; give names with --dns/],
  [["cert", "--dns", "a b"], /--dns: host name "a b"/],
  [["cert", "--ip", "1.1.1.1", "--days", "0"], /--days: "0"/],
];

Deno.test("a command line that is wrong: exit code 2, one line on stderr, nothing on stdout", async () => {
  using folder = tempFolder();
  using state = tempFolder();
  const env = { SCISTREAM_STATE_DIR: state.path };
  const lanes = [0, 1, 2].map(async (lane) => {
    for (let i = lane; i < COMMAND_LINES.length; i += 3) {
      const [args, message] = COMMAND_LINES[i] as [string[], RegExp];
      const ended = await scistream(args, { cwd: folder.path, env });
      const what = `scistream ${args.join(" ").slice(0, 80)}`;
      assertEquals(ended.code, 2, `${what}: ${ended.err}${ended.out}`);
      if (args.length === 0) {
        assertMatch(ended.out, message);
        continue;
      }
      assertEquals(ended.out, "", what);
      assertMatch(ended.err, message, `${what}: ${ended.err}`);
      assertMatch(ended.err, /^error: [^\n]*\n$/, `${what}: one line: ${ended.err}`);
    }
  });
  await Promise.all(lanes);
  assertEquals([...Deno.readDirSync(folder.path)], [], "nothing was written");
});

Deno.test("a configuration file: its keys work, its mistakes name the line, flags and environment win", async () => {
  using folder = tempFolder();
  const file = `${folder.path}/s2cs.toml`;
  await using gateway = await Gateway.start("--type=mock");
  Deno.writeTextFileSync(
    file,
    `type = "Mock"\nmax-conn = 2\nport = 0\nlistener_ip = "127.0.0.1"\nserver-crt = "${gateway.cert}"\nserver-key = "${gateway.key}"\nstate-dir = "${folder.path}/state"\n`,
  );
  const server = new Running([...SCISTREAM, "s2cs", "start", "--config", file], {
    env: { SCISTREAM_MAX_CONN: "3" },
  });
  const address = (await server.line(/Secure gRPC Server started on (\S+)/))[1] as string;
  const flags = ["--s2cs", address, "--server-cert", gateway.cert];
  const refused = await scistream(["s2uc", "prod-req", "--num-conn=4", ...flags]);
  assertMatch(
    refused.err,
    /\[NO_RESOURCE\] 4 channels asked for, this gateway gives a session at most 3/,
  );
  assertEquals((await server.stop()).code, 0);

  Deno.writeTextFileSync(file, `type = "Mock"\n\nprot = 7\n`);
  const wrong = await scistream(["s2cs", "--config", file]);
  assertEquals([wrong.code, wrong.err], [
    2,
    `error: ${file}, line 3: unknown key "prot"; \`--help\` lists the options that are keys\n`,
  ]);

  const client = `${folder.path}/s2uc.toml`;
  Deno.writeTextFileSync(
    client,
    `s2cs = "${gateway.address}"\n[list]\nserver_cert = "${gateway.cert}"\njson = true\n`,
  );
  const listed = assertOk(await scistream(["s2uc", "list"], { env: { SCISTREAM_CONFIG: client } }));
  assertEquals(JSON.parse(listed.out), { v: 1, kind: "list", s2cs: gateway.address, sessions: [] });
});

Deno.test("files that cannot be used: exit code 2 and one line that names them", async () => {
  using folder = tempFolder();
  const cwd = folder.path;
  for (const name of ["a", "b"]) {
    assertOk(
      await scistream(
        ["cert", "--ip=127.0.0.1", `--out-crt=${name}.crt`, `--out-key=${name}.key`],
        { cwd },
      ),
    );
  }
  Deno.writeTextFileSync(
    `${cwd}/g.crt`,
    "-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n",
  );
  const server = ["s2cs", "--listener-ip=127.0.0.1", "--port=0"];
  const cases: [string[], RegExp][] = [
    [
      [...server, "--server-crt=a.crt", "--server-key=b.key"],
      /\[BAD_FORMAT\] b.key is not the key of a.crt/,
    ],
    [
      [...server, "--server-crt=g.crt", "--server-key=b.key"],
      /\[BAD_FORMAT\] g.crt holds no PEM certificate/,
    ],
    [
      [...server, "--server-crt=a.crt", "--server-key=a.crt"],
      /\[BAD_FORMAT\] a.crt holds no PEM private key/,
    ],
    [
      [...server, "--ssl=False", "--state-dir=/proc/nope"],
      /\[BAD_FORMAT\] cannot make the folder \/proc\/nope.*--state-dir/,
    ],
    [
      [...server, "--ssl=False", `--state-dir=/tmp/${"x".repeat(100)}`],
      /socket path .* is longer than the 107 characters/,
    ],
    [["s2uc", "list", "--server-cert=g.crt"], /\[BAD_FORMAT\] g.crt holds no PEM certificate/],
    [
      ["cert", "--ip=1.1.1.1", "--out-key=/nonexistent/x"],
      /cannot write \/nonexistent\/x: No such file or directory/,
    ],
    [
      ["cert", "--ip=1.1.1.1", "--out-key=c.key", "--out-crt=/nonexistent/x"],
      /cannot write \/nonexistent\/x/,
    ],
  ];
  for (const [args, message] of cases) {
    const ended = await scistream(args, { cwd });
    assertEquals(ended.code, 2, `${args.join(" ")}: ${ended.err}`);
    assertMatch(ended.err, message);
    assertMatch(ended.err, /^error: [^\n]*\n$/);
  }
  const left = [...Deno.readDirSync(cwd)].map((entry) => entry.name).sort();
  assertEquals(left, ["a.crt", "a.key", "b.crt", "b.key", "g.crt"]);
  Deno.removeSync(`/tmp/${"x".repeat(100)}`, { recursive: true });

  const nowhere = await scistream(["s2cs", "--ssl=False", "--listener-ip=192.0.2.1", "--port=0"], {
    cwd,
  });
  assertEquals([nowhere.code, nowhere.err], [
    3,
    "error: [CONN_ERROR] cannot listen on 192.0.2.1:0: this machine has no such address\n",
  ]);
});

/** Every field of every message with something wrong. */
const MESSAGES: [UnaryMethod, Record<string, unknown>, string, number][] = [
  ["req", { uid: "", role: "PROD", num_conn: 1 }, "INVALID_UID", 3],
  ["req", { uid: "../../etc/x", role: "PROD", num_conn: 1 }, "INVALID_UID", 3],
  ["req", { uid: "line\nbreak-line", role: "PROD", num_conn: 1 }, "INVALID_UID", 3],
  ["req", { uid: "x".repeat(1 << 20), role: "PROD", num_conn: 1 }, "INVALID_UID", 3],
  ["req", { uid: "good-uid", role: "", num_conn: 1 }, "BAD_FORMAT", 3],
  ["req", { uid: "good-uid", role: "prod", num_conn: 1 }, "BAD_FORMAT", 3],
  ["req", { uid: "good-uid", role: "PROD", num_conn: 0 }, "BAD_FORMAT", 3],
  ["req", { uid: "good-uid", role: "PROD", num_conn: -2147483648 }, "BAD_FORMAT", 3],
  ["req", { uid: "good-uid", role: "PROD", num_conn: 2147483647 }, "NO_RESOURCE", 8],
  ["req", { uid: "good-uid", role: "PROD", num_conn: 1, rate: -1 }, "BAD_FORMAT", 3],
  ["hello", { uid: "x", role: "PROD", prod_listeners: ["h:1"] }, "INVALID_UID", 3],
  ["hello", { uid: "good-uid", role: "x", prod_listeners: ["h:1"] }, "BAD_FORMAT", 3],
  [
    "hello",
    { uid: "good-uid", role: "PROD", prod_listeners: ["h:1\nserver evil 1.2.3.4:1"] },
    "BAD_FORMAT",
    3,
  ],
  [
    "hello",
    { uid: "good-uid", role: "PROD", prod_listeners: Array(10_001).fill("h:1") },
    "BAD_FORMAT",
    3,
  ],
  ["hello", { uid: "unknown-uid", role: "CONS" }, "INVALID_UID", 5],
  ["update", { uid: "/".repeat(20), role: "PROD", remote_listeners: ["h:1"] }, "INVALID_UID", 3],
  ["update", { uid: "unknown-uid", role: "PROD", remote_listeners: ["h:1"] }, "INVALID_UID", 5],
  ["update", { uid: "unknown-uid", role: "?", remote_listeners: ["h:1"] }, "BAD_FORMAT", 3],
  ["update", { uid: "unknown-uid", role: "PROD", remote_listeners: [""] }, "BAD_FORMAT", 3],
  ["release", { uid: "" }, "INVALID_UID", 3],
  ["release", { uid: "unknown-uid" }, "INVALID_UID", 5],
  ["status", { uid: "\u0000".repeat(9) }, "INVALID_UID", 3],
  ["status", { uid: "unknown-uid" }, "INVALID_UID", 5],
];

Deno.test("a message field that is wrong: the right code and status, server unharmed", async () => {
  await using gateway = await Gateway.start("--type=mock", "--hello-timeout=0.2");
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });
  try {
    for (const [method, request, code, status] of MESSAGES) {
      const error = await client.call(method, request).then(() => undefined, (error) => error);
      assert(
        error instanceof ScistreamError,
        `${method} ${JSON.stringify(request).slice(0, 80)}: ${error}`,
      );
      assertEquals(
        [error.code, error.status],
        [code, status],
        JSON.stringify(request).slice(0, 80),
      );
      assert(error.message.length < 400 && !error.message.includes("\n"), error.message);
    }
    assertEquals((await client.call("list", {})).sessions, []);
  } finally {
    client.close();
  }
  assertEquals(
    /SERVER_ERR|unhandled|internal/i.test(gateway.process.err),
    false,
    gateway.process.err,
  );
});

Deno.test("bytes that are no message, no gRPC and no TLS harm nobody", async () => {
  await using gateway = await Gateway.start("--type=mock");
  const address = Endpoint.parse(gateway.address);
  const hostile: Uint8Array[] = [
    new Uint8Array(0),
    new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
    crypto.getRandomValues(new Uint8Array(4096)),
    new Uint8Array([0x16, 3, 1, 0xff, 0xff, ...new Uint8Array(100)]),
  ];
  for (const bytes of hostile) {
    const conn = await Deno.connect({ hostname: address.host, port: address.port });
    await conn.write(bytes).catch(() => {});
    await conn.closeWrite().catch(() => {});
    await conn.read(new Uint8Array(64)).catch(() => {});
    conn.close();
  }
  const raw = new grpc.Client(
    gateway.address,
    grpc.credentials.createSsl(Buffer.from(Deno.readFileSync(gateway.cert)), null, null, {
      checkServerIdentity: () => undefined,
    }),
    { "grpc.ssl_target_name_override": "scistream.invalid" },
  );
  const garbage = (path: string, bytes: Uint8Array) =>
    new Promise<number>((resolve) => {
      const same = (value: Uint8Array) => Buffer.from(value);
      raw.makeUnaryRequest(path, same, same, bytes, new grpc.Metadata(), (error) =>
        resolve(error?.code ?? 0));
    });
  assertEquals(await garbage("/scistream.Control/nope", new Uint8Array(0)), 12);
  assertEquals(
    await garbage("/scistream.Control/req", new Uint8Array([0xff, 0xff, 0xff, 0xff])),
    13,
  );
  assertEquals(await garbage("/scistream.Control/req", new Uint8Array(5 << 20)), 8);
  raw.close();
  assertOk(await scistream(["s2uc", "list", ...gateway.flags]));
});

Deno.test("cert writes what openssl accepts, the key for its owner alone, and replaces nothing unasked", async () => {
  using folder = tempFolder();
  const cwd = folder.path;
  assertOk(await scistream(["cert", "--ip", "192.168.10.11", "--dns", "gw.example.org"], { cwd }));
  assertEquals(((Deno.statSync(`${cwd}/server.key`).mode ?? 0) & 0o777).toString(8), "600");
  const shown = assertOk(
    await run(["openssl", "x509", "-in", "server.crt", "-noout", "-ext", "subjectAltName"], {
      cwd,
    }),
  );
  assertMatch(shown.out, /IP Address:192.168.10.11, DNS:gw.example.org/);
  const verified = await run([
    "openssl",
    "verify",
    "-purpose",
    "sslserver",
    "-CAfile",
    "server.crt",
    "server.crt",
  ], { cwd });
  assertEquals(assertOk(verified).out, "server.crt: OK\n");
  const before = Deno.readTextFileSync(`${cwd}/server.crt`);
  const again = await scistream(["cert", "--ip", "192.168.10.11"], { cwd });
  assertEquals([again.code, again.err], [
    2,
    "error: server.key is there already; --force replaces it\n",
  ]);
  assertEquals(Deno.readTextFileSync(`${cwd}/server.crt`), before);
  assertOk(await scistream(["cert", "--ip", "192.168.10.11", "--force"], { cwd }));
  assert(Deno.readTextFileSync(`${cwd}/server.crt`) !== before);
});
