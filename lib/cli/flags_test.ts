import { assertEquals, assertThrows } from "@std/assert";
import {
  bool,
  choice,
  distance,
  integer,
  list,
  parseCommandLine,
  parsed,
  seconds,
  text,
  UsageError,
} from "./flags.ts";
import { readConfig } from "./config.ts";
import { parsePort } from "../protocol/endpoint.ts";

const FLAGS = {
  numConn: integer("channels", { default: "5", least: 1, most: 100 }),
  listenerIp: text("address", { default: "0.0.0.0" }),
  type: text("type", { default: "S2DS", short: "t" }),
  wanIp: text("address"),
  ssl: bool("TLS", { default: "True" }),
  verbose: bool("more", { short: "v" }),
  wait: seconds("time", { default: "180" }),
  ports: list("ports", parsePort, { default: "1,2" }),
  token: text("token", { env: "TOKEN" }),
  wan: choice("wan", ["tls", "plain"], { default: "tls" }),
  policy: choice("policy", ["ignore", "reserve", "enforce"], { default: "reserve" }),
};
const ARGS = [{ name: "UID", help: "a uid" }, { name: "IP", help: "an ip", default: "127.0.0.1" }];
const parse = (line: string, sources = {}) =>
  parseCommandLine(line.split(" ").filter(Boolean), FLAGS, ARGS, sources);

Deno.test("every spelling of contract section 6 means the same", () => {
  for (const spelling of ["--num-conn=7", "--num_conn=7", "--num-conn 7", "--num_conn 7"]) {
    assertEquals(parse(`${spelling} u`).options.numConn, 7);
  }
  for (
    const off of [
      "--ssl=False",
      "--ssl False",
      "--ssl=false",
      "--ssl 0".replace(" ", "="),
      "--no-ssl",
      "--ssl=no",
    ]
  ) {
    assertEquals(parse(`${off} u`).options.ssl, false, off);
  }
  for (const on of ["--verbose", "-v", "--verbose True", "--verbose=true", "--no-verbose=False"]) {
    assertEquals(parse(`${on} u`).options.verbose, true, on);
  }
  assertEquals(parse("u -t Mock").options.type, "Mock");
  assertEquals(parse("-t=Mock u").options.type, "Mock");
});

Deno.test("a boolean takes no word that is not one", () => {
  const line = parse("--verbose u 10.0.0.1");
  assertEquals([line.options.verbose, line.args], [true, { UID: "u", IP: "10.0.0.1" }]);
});

Deno.test("arguments stay text, whatever they look like", () => {
  assertEquals(parse("0012345678 1e5").args, { UID: "0012345678", IP: "1e5" });
});

Deno.test("what follows -- is left alone", () => {
  const line = parse("u -- cmd --num-conn x -v");
  assertEquals(line.rest, ["cmd", "--num-conn", "x", "-v"]);
  assertEquals(line.options.verbose, false);
});

Deno.test("default < file < environment < flag", () => {
  const file = { numConn: "2", type: "File" };
  const env = (name: string) => ({ SCISTREAM_NUM_CONN: "3", TOKEN: "secret" })[name];
  assertEquals(parse("u").options.numConn, 5);
  assertEquals(parse("u", { file }).options.numConn, 2);
  assertEquals(parse("u", { file, env }).options.numConn, 3);
  assertEquals(parse("--num-conn 4 u", { file, env }).options.numConn, 4);
  assertEquals(parse("u", { file, env }).options.type, "File");
  assertEquals(parse("u", { env }).options.token, "secret");
  assertEquals(parse("u").options.wanIp, undefined);
});

Deno.test("a list is given with commas or several times", () => {
  assertEquals(parse("u").options.ports, [1, 2]);
  assertEquals(parse("--ports 5,6 --ports=7 u").options.ports, [5, 6, 7]);
});

Deno.test("seconds become milliseconds", () => {
  assertEquals([parse("u").options.wait, parse("--wait 0.25 u").options.wait], [180_000, 250]);
});

Deno.test("one clear line for each mistake", () => {
  const mistakes: [string, RegExp][] = [
    ["", /missing argument UID: a uid/],
    ["a b c", /unexpected argument "c"/],
    ["--num-con 3 u", /unknown option "--num-con"; did you mean --num-conn\?/],
    ["--zzz u", /unknown option "--zzz"$/],
    ["-x u", /unknown option "-x"/],
    ["--no-type u", /unknown option "--no-type"/],
    ["--num-conn", /option --num-conn needs a value: --num-conn N/],
    ["--num-conn --ssl u", /option --num-conn needs a value/],
    ["--num-conn -1 u", /--num-conn: "-1" is not a whole number from 1 to 100/],
    ["--num-conn 1e1 u", /"1e1" is not a whole number/],
    ["--num-conn=\u0007 u", /"\\u0007"/],
    ["--ssl=maybe u", /--ssl: "maybe" is neither True nor False/],
    ["--wait never u", /--wait: "never" is not a number of seconds/],
    ["--wan TLS u", /--wan: "TLS" is neither tls nor plain/],
    ["--wan --ssl u", /option --wan needs a value: --wan tls\|plain/],
    ["--policy no u", /--policy: "no" is none of ignore, reserve, enforce/],
    ["--ports 1,x u", /--ports: port "x" is not a number from 1 to 65535/],
  ];
  for (const [line, message] of mistakes) {
    const error = assertThrows(() => parse(line), UsageError);
    assertEquals(message.test(error.message), true, error.message);
    assertEquals(error.message.includes("\n"), false);
  }
  const env = () => "x";
  assertThrows(() => parse("u", { env }), UsageError, "environment variable SCISTREAM_NUM_CONN");
});

Deno.test("a choice is one of its words", () => {
  assertEquals([parse("u").options.wan, parse("--wan plain u").options.wan], ["tls", "plain"]);
  assertEquals(FLAGS.policy.choices, ["ignore", "reserve", "enforce"]);
});

Deno.test("edit distance", () => {
  assertEquals([
    distance("a", "a"),
    distance("ab", "ba"),
    distance("s2uc", "s2cs"),
    distance("a", "abcd"),
  ], [0, 2, 2, 3]);
});

const SHAPE = {
  "prod-req": {
    s2cs: text("server", { default: "x" }),
    numConn: FLAGS.numConn,
    ssl: FLAGS.ssl,
    config: text("file"),
  },
  list: { s2cs: text("server", { default: "x" }), ports: FLAGS.ports },
};

Deno.test("a file's keys are flags; a table is for one command and wins", () => {
  const toml =
    `s2cs = "a:1"\nnum_conn = 3\nssl = false\n[prod-req]\nnum-conn = 4\n[list]\nports = [1, 2]\n`;
  assertEquals(readConfig("f", toml, SHAPE, "prod-req").file, {
    s2cs: "a:1",
    numConn: "4",
    ssl: "false",
  });
  assertEquals(readConfig("f", toml, SHAPE, "list").file, { s2cs: "a:1", ports: "1,2" });
});

Deno.test("a file's mistakes name the key and the line", () => {
  const mistakes: [string, RegExp][] = [
    ['s2cs = "a:1"\n\nnumconn = 3\n', /^f, line 3: unknown key "numconn"/],
    ["[prod-req]\nnum-conn = 4\nports = [1]\n", /^f, line 3: unknown key "ports"/],
    ["[prod]\nnum-conn = 4\n", /^f, line 1: unknown table \[prod\]; there are prod-req, list/],
    ['num-conn = "many"\n', /^f, line 1: num-conn: "many" is not a whole number/],
    ['[list]\nports = ["x"]\n', /^f, line 2: ports: port "x"/],
    ["s2cs = [[1, {a = 2}]]\n", /^f, line 1: s2cs is not a value/],
    ['config = "g"\n', /^f, line 1: unknown key "config"/],
    ["s2cs = \n", /^f: /],
  ];
  for (const [toml, message] of mistakes) {
    const error = assertThrows(() => readConfig("f", toml, SHAPE, "prod-req"), UsageError);
    assertEquals(message.test(error.message), true, error.message);
    assertEquals(error.message.includes("\n"), false, error.message);
  }
});

Deno.test("a parsed flag without a default is undefined when it is not given", () => {
  const flags = { port: parsed("port", parsePort) };
  assertEquals(parseCommandLine([], flags, []).options.port, undefined);
  assertEquals(parseCommandLine(["--port=8"], flags, []).options.port, 8);
});
