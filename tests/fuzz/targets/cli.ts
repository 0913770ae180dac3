/**
 * Command lines, configuration files, and the texts of flags.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import s2cs from "../../../cmd/s2cs.ts";
import s2uc from "../../../cmd/s2uc/group.ts";
import type { Command } from "../../../lib/cli/command.ts";
import { type ConfigShape, readConfig } from "../../../lib/cli/config.ts";
import {
  bool,
  flagName,
  integer,
  list,
  parseCommandLine,
  seconds,
  splitCommandLine,
  UsageError,
} from "../../../lib/cli/flags.ts";
import { Endpoint, parsePort } from "../../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import { attempt, type Target, textOf } from "../target.ts";

const COMMANDS = [...s2cs.commands, ...s2uc.commands];
const KEYS = [...new Set(COMMANDS.flatMap(({ flags }) => Object.keys(flags)))].map(flagName);
/** A value for --client-secret that is found again wherever it stands. */
const SECRET = "hx7Qw0-client-secret";

/** Which command, and its words, a line each. */
function line(command: string, ...words: string[]): string {
  return [command, ...words].join("\n");
}

const flags: Target = {
  name: "flags",
  seeds: [
    line("start", "--port", "5007", "-t", "Nginx", "--ssl=False", "--listener-ip", "::1"),
    line("start", "--allow=10.0.0.0/8", "--allow", "user:a@b", "--no-keep-sessions", "-v", "true"),
    line("start", `--client-secret=${SECRET}`, "--hello-timeout", "0.5", "--bogus"),
    line("prod-req", "--s2cs", "h:1", "--num_conn=3", "--mock"),
    line("cons-req", "uid", "h:1,h:2", "--rate", "-5", "--", "--rest"),
    line("connect", "--help-me", "-", "--"),
  ],
  dictionary: [
    ...KEYS.map((key) => `\n--${key}=`),
    ...COMMANDS.map(({ name }) => `${name}\n`),
    "\n--",
    "\n-",
    "--no-",
    "=True",
    `\n--client-secret=${SECRET}`,
    `\n--client-secrte=${SECRET}`,
    "--__proto__=1",
    "--constructor",
  ],
  run(bytes) {
    const [name, ...argv] = textOf(bytes).split("\n");
    const command = COMMANDS.find((each) => each.name === name) ?? COMMANDS[0] as Command;
    const said = argv.filter((word) => word.includes(SECRET));
    // What is no flag at all may be this one with a slip of the finger.
    const isMasked = (word: string) => {
      const [, key = ""] = /^--([A-Za-z][\w-]*)=hx7Qw0-client-secret$/.exec(word) ?? [];
      return key === "client-secret" || key !== "" && !KEYS.includes(key.replaceAll("_", "-"));
    };
    const masked = said.length > 0 && said.every(isMasked);
    const parse = (words: readonly string[]) =>
      parseCommandLine(words, command.flags, command.args);
    const { value } = attempt(() => parse(argv), [UsageError], masked ? [SECRET] : []);
    if (!value) return;
    assertEquals(Object.keys(value.args), command.args.map((each) => each.name));
    if (masked) assert(!JSON.stringify(value.options).includes(SECRET));
    // The other way to write it says the same.
    const split = splitCommandLine(argv, command.flags);
    const plain = Object.entries(split.flags).map(([key, text]) => `--${flagName(key)}=${text}`);
    const again = [...plain, ...split.words, "--", ...split.rest];
    assertEquals(splitCommandLine(again, command.flags), split);
    assertEquals(JSON.stringify(parse(again)), JSON.stringify(value));
  },
};

/** The texts of one kind of flag. */
const texts: Target = {
  name: "texts",
  seeds: ["0.5", "180", "-3", "65535", "True", "no", "1,2,3", "999999.999", "::1, fd00::/8"],
  fresh: 500,
  run(bytes) {
    const text = textOf(bytes);
    const bounds = { least: -5, most: 2 ** 40, default: "0" };
    const whole = attempt(() => integer("", bounds).parse(text), [UsageError]).value;
    if (whole !== undefined) {
      assert(Number.isInteger(whole) && whole >= -5 && whole <= 2 ** 40);
      assertEquals(integer("", bounds).parse(String(Math.abs(whole))), Math.abs(whole));
    }
    const ms = attempt(() => seconds("", { default: "0" }).parse(text), [UsageError]).value;
    assert(ms === undefined || ms >= 0 && ms < 1e9);
    const yes = attempt(() => bool("").parse(text), [UsageError]).value;
    if (yes !== undefined) assertEquals(bool("").parse(String(yes)), yes);
    const ports = list("", parsePort, { default: "" });
    const several = attempt(() => ports.parse(text), [ScistreamError]).value;
    if (several) assertEquals(ports.parse(several.join(",")), several);
    // The flags of every command, each with this text.
    for (const { flags } of COMMANDS) {
      for (const flag of Object.values(flags)) {
        attempt(() => flag.parse(text), [UsageError, ScistreamError]);
      }
    }
  },
};

const SHAPES: Record<string, ConfigShape> = {
  "s2uc.toml": Object.fromEntries(s2uc.commands.map((each) => [each.name, each.flags])),
  "s2cs.toml": { start: s2cs.commands[0]?.flags ?? {} },
};
const SERVER_KEYS = ["scope", "serverCert", "issuer", "issuerCa", "clientId", "resource"];

const config: Target = {
  name: "config",
  seeds: [
    'server-cert = "gateway.crt"\nnum-conn = 3\n[prod-req]\ns2cs = "192.168.10.11:5007"\n',
    '[servers."h:1"]\nscope = "s"\nserver-cert = "c.pem"\nissuer = "https://i"\nclient_id = "x"\n',
    'port = 5007\ntype = "S2DS"\nallow = ["10.0.0.0/8", "user:a@b"]\nssl = true\n',
    'hello-timeout = 0.5\n[start]\nlistener-ip = "::1"\nconfig = "x"\n',
    'servers = 5\n[list]\ns2cs = ["h:1", "h:2"]\n[[prod-req]]\n',
    '[servers]\n"h:1" = 5\n[constructor]\n',
    '[servers."h:1"]\nscope = "s"\nconstructor = "x"\n',
    "[constructor]\n",
    '["\\u001b[2J"]\n',
    `[${"long".repeat(500)}]\n`,
    `${"con".repeat(11_000)} = 1\n`,
    `bogus = """\n[${" ".repeat(20_000)}x\n"""\n`,
    `client-id = "gateway"\nclient-secret = "${SECRET}"\n`,
  ],
  dictionary: [
    ...KEYS.map((key) => `\n${key} = `),
    ...Object.keys(SHAPES["s2uc.toml"] ?? {}).map((name) => `\n[${name}]\n`),
    '\n[servers."h:1"]\n',
    "\n[a.b.c]\n",
    "\n[__proto__]\npolluted = 1\n",
    '\nconstructor = "x"\n',
    "1979-05-27T07:32:00Z",
    '"""',
    "'''",
    "[[1, {a = 2}]]",
    "{a = 1}",
    "inf",
    "nan",
    "0x1f",
    '"\\u0007"',
  ],
  run(bytes) {
    const text = textOf(bytes);
    for (const [name, shape] of Object.entries(SHAPES)) {
      const subcommand = name === "s2cs.toml" ? "start" : "prod-req";
      const once = text.split(SECRET).length === 2 && text.includes(`client-secret = "${SECRET}`);
      const { value, error } = attempt(
        () => readConfig(name, text, shape, subcommand),
        [UsageError],
        once ? [SECRET] : [],
      );
      assertEquals("polluted" in {}, false);
      const told = /line (\d+): /.exec(error?.message ?? "")?.[1];
      if (told) assert(Number(told) >= 1 && Number(told) <= text.split("\n").length, told);
      if (!value) continue;
      const flags = shape[subcommand] ?? {};
      for (const [key, written] of Object.entries(value.file)) {
        assert(Object.hasOwn(flags, key) && typeof written === "string", key);
        // What one subcommand takes another may not; it says so when it is run.
        attempt(() => flags[key]?.parse(written), [UsageError, ScistreamError]);
      }
      for (const [address, server] of value.servers) {
        assertEquals(String(Endpoint.parse(address)), address);
        for (const [key, said] of Object.entries(server)) {
          assert(SERVER_KEYS.includes(key) && typeof said === "string" && said !== "", key);
        }
      }
    }
  },
};

/** Those of this file. */
export const cliTargets: readonly Target[] = [flags, texts, config];
