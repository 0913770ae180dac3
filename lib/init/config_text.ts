/**
 * A configuration file made of a flag table: every option with what it means, those that are chosen
 * set, and the others as comments with their default.
 * @module
 */
import { type Flag, flagName, type Flags } from "../cli/flags.ts";

/** What an option without a default could be. */
const EXAMPLES: Readonly<Record<string, string>> = {
  wanIp: "192.0.2.11",
  lanIp: "192.168.10.12",
  workers: "4",
  dockerSocket: "/var/run/docker.sock",
  image: "haproxy:2.8",
  janusUrl: "https://janus.example.org:5000",
  janusUser: "scistream",
  janusPasswordFile: "/etc/scistream/janus-password",
  janusCa: "/etc/scistream/janus-ca.pem",
  janusNode: "dtn1=203.0.113.5/192.168.20.5",
  janusProfile: "scistream",
  janusImage: "haproxy:2.8",
  janusConfigDir: "/data/scistream",
  proxyDir: "/var/lib/scistream/proxies",
  http: "127.0.0.1:5080",
  logFile: "/var/log/scistream/s2cs.log",
  issuer: "https://login.example.org",
  issuerCa: "/etc/scistream/issuer-ca.pem",
  clientId: "5f2ab3f0-0001-4c3f-8c7e-1f4b8a6f0c11",
  clientSecretFile: "/etc/scistream/client-secret",
  scope: "scistream",
  audience: "https://gateway.example.org",
  stateDir: "/var/lib/scistream",
};

/**
 * What is none of a file's: the file itself, what only prints, and a secret, which has a file of its
 * own.
 */
const LEFT_OUT = ["config", "version", "clientSecret"];

const WIDTH = 98;

/**
 * The file's text.
 * @param chosen texts by flag key, as a user would write them
 * @param head lines of comment at its top
 */
export function configText(
  flags: Flags,
  chosen: Readonly<Record<string, string>>,
  head: readonly string[],
): string {
  const parts = [head.map(comment).join("")];
  for (const [key, flag] of Object.entries(flags)) {
    if (LEFT_OUT.includes(key)) continue;
    const text = chosen[key];
    const help = wrap(flag.help).map(comment).join("");
    if (text !== undefined) parts.push(`${help}${entry(key, flag, text)}\n`);
    else parts.push(`${help}${unset(key, flag)}`);
  }
  return parts.join("\n");
}

/** An option that is not set. */
function unset(key: string, flag: Flag<unknown>): string {
  if (flag.default !== undefined) return `#${entry(key, flag, flag.default)}\n`;
  const example = EXAMPLES[key];
  return example === undefined
    ? comment(`(${flagName(key)} is not set)`)
    : `${comment("Not set; such as:")}#${entry(key, flag, example)}\n`;
}

function entry(key: string, flag: Flag<unknown>, text: string): string {
  return `${flagName(key)} = ${value(flag, text)}`;
}

/** As TOML has it: booleans, whole numbers, strings. */
function value(flag: Flag<unknown>, text: string): string {
  if (flag.value === undefined) return String(flag.parse(text));
  if (/^(0|[1-9][0-9]{0,14})$/.test(text)) return text;
  // A basic string of TOML is one of JSON that has no DEL in it.
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}

function comment(line: string): string {
  return line === "" ? "#\n" : `# ${line}\n`;
}

function wrap(text: string): string[] {
  const rows: string[] = [];
  for (const word of text.split(" ")) {
    const last = rows.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH) rows.push(`${rows.pop()} ${word}`);
    else rows.push(word);
  }
  return rows;
}
