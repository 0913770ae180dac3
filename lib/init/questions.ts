/**
 * What is asked of whoever sets a gateway up.
 * @module
 */
import type { Io } from "../cli/command.ts";
import { flagName, type Flags, UsageError } from "../cli/flags.ts";
import { checkUrl } from "../auth/provider.ts";
import { messageOf, quote } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";

/** What was answered. */
export interface Answers {
  /** By flag key, as a user would write them; what is not set is not there. */
  texts: Record<string, string>;
  /** The client's secret, where it was typed. */
  secret?: Secret;
}

/** What is known before anything is asked. */
export interface Known {
  flags: Flags;
  /** What was given as flags, by key. */
  given: Readonly<Record<string, string>>;
  /** Addresses of this machine. */
  addresses: readonly string[];
  /** Where files go if nothing is said. */
  dir: string;
  /** Throws for a data server type that is none. */
  parseType: (text: string) => string;
}

/** Asks for an option until its answer is one; an empty answer leaves it unset. */
type Ask = (
  key: string,
  question: string,
  standard: string,
  check?: (text: string) => void,
) => Promise<void>;

/** Options that have to have an answer, in this order; `wanIp` may well be none. */
const NEEDED = ["listenerIp", "port", "type", "portRange", "dir"];

/**
 * The answers without asking: flags, and defaults where `yes` says so.
 * @throws {UsageError} names the flags that are missing
 */
export function withoutAsking({ given, dir }: Known, yes: boolean): Answers {
  const lacks = NEEDED.filter((key) => given[key] === undefined).map((key) => `--${flagName(key)}`);
  if (lacks.includes("--listener-ip") || (lacks.length > 0 && !yes)) {
    const rest = lacks.filter((name) => name !== "--listener-ip");
    throw new UsageError(
      [
        "nobody can be asked here",
        lacks.includes("--listener-ip") ? ": give --listener-ip IP" : "",
        yes || rest.length === 0
          ? ""
          : `${lacks.includes("--listener-ip") ? ", and" : ": give"} --yes for the defaults of ${
            rest.join(", ")
          }`,
      ].join(""),
    );
  }
  if (given.clientId !== undefined && given.clientSecretFile === undefined) {
    throw new UsageError("--client-id needs --client-secret-file FILE, which s2cs will read");
  }
  if (given.clientId === undefined && (given.issuer ?? given.clientSecretFile) !== undefined) {
    throw new UsageError("--client-id is missing: which client is this gateway at the provider?");
  }
  return { texts: { dir, ...given } };
}

/**
 * Asks for what was not given.
 * @throws {UsageError} at the end of input
 */
export async function askForAll(
  { flags, given, addresses, dir, parseType }: Known,
  io: Io,
): Promise<Answers> {
  const texts: Record<string, string> = { ...given };
  const parse = (key: string) => (text: string) => void flags[key]?.parse(text);
  const ask: Ask = async (key, question, standard, check = parse(key)) => {
    if (texts[key] !== undefined) return;
    const answer = await askOne(question, standard, check, io);
    if (answer !== "") texts[key] = answer;
  };
  if (given.listenerIp === undefined && addresses.length > 0) {
    io.err(`This machine has ${addresses.join(", ")}.`);
  }
  await ask("listenerIp", "Address that clients of this gateway use", addresses[0] ?? "");
  await ask(
    "wanIp",
    "Address that other gateways reach, if that is another",
    "",
    (text) => text === "" || parse("wanIp")(text),
  );
  await ask("port", "Port of the control server", flags.port?.default ?? "");
  await ask("type", "Data server type", flags.type?.default ?? "", parseType);
  await ask("portRange", "Ports for data", flags.portRange?.default ?? "");
  const known = [given.clientId, given.issuer, given.clientSecretFile];
  const secret = known.every((each) => each === undefined)
    ? await askForAuthentication(ask, io, texts)
    : await askForClient(ask, io, texts);
  await ask("dir", "Folder for the files", dir, () => {});
  return { texts, secret };
}

/** Who callers are known by; the client's secret, if it was typed. */
async function askForAuthentication(
  ask: Ask,
  io: Io,
  texts: Readonly<Record<string, string>>,
): Promise<Secret | undefined> {
  const ways = ["none", "globus", "oidc"];
  const isWay = (text: string) => {
    if (!ways.includes(text)) throw new UsageError(`${quote(text)} is none of ${ways.join(", ")}`);
  };
  const way = await askOne(`Who are callers known by: ${ways.join(", ")}`, "none", isWay, io);
  if (way === "none") return undefined;
  if (way === "oidc") await ask("issuer", "Issuer, https://…", "", checkUrl);
  return await askForClient(ask, io, texts);
}

async function askForClient(
  ask: Ask,
  io: Io,
  texts: Readonly<Record<string, string>>,
): Promise<Secret | undefined> {
  await ask("clientId", "This gateway's client id there", "", (text) => {
    if (text === "") throw new UsageError("the provider gave one when the client was registered");
  });
  if (texts.clientSecretFile !== undefined) return undefined;
  const typed = await io.readHidden(
    "The client's secret (not shown; empty to put it into a file later): ",
  );
  io.err("");
  return typed ? new Secret(typed) : undefined;
}

/** Asks until the answer is one. */
async function askOne(
  question: string,
  standard: string,
  check: (text: string) => void,
  io: Io,
): Promise<string> {
  for (;;) {
    io.draw(`${question}${standard === "" ? "" : ` [${standard}]`}: `);
    const typed = await io.readLine();
    if (typed === undefined) throw new UsageError("the input ended before all was answered");
    const answer = typed === "" ? standard : typed;
    try {
      check(answer);
      return answer;
    } catch (error) {
      io.err(`  ${messageOf(error)}`);
    }
  }
}
