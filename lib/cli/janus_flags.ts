/**
 * Flags of the data server type Janus.
 * @module
 */
import { messageOf } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";
import type { JanusSettings } from "../s2ds/placed/janus/settings.ts";
import { warnIfShared } from "./auth_flags.ts";
import { bool, type Options, text, UsageError } from "./flags.ts";

/** Where Janus is, and what it is to run. */
export const janusFlags = {
  janusUrl: text("ESnet's Janus controller, for type Janus", { value: "URL" }),
  janusUser: text("user of Janus; the password is in SCISTREAM_JANUS_PASSWORD or a file", {
    value: "NAME",
  }),
  janusPasswordFile: text("file with the password of --janus-user", { value: "FILE" }),
  janusCa: text("PEM certificates that Janus' certificate ends at, or itself", { value: "FILE" }),
  janusInsecure: bool("take any certificate of Janus"),
  janusNode: text(
    "data-transfer nodes of Janus: NAME=WAN_IP[/LAN_IP], several with commas; producers' listeners are on the WAN address, consumers' on the LAN's",
    { value: "NODES" },
  ),
  janusProfile: text("Janus' profile for containers, with host networking and a shared folder", {
    value: "NAME",
  }),
  janusImage: text("container image that Janus runs instead of haproxy:latest", { value: "NAME" }),
  janusConfigDir: text("this host's path of the folder that --janus-profile mounts", {
    value: "DIR",
  }),
};

/**
 * Settings of type Janus, its files read.
 * @throws {UsageError} names what is missing
 */
export async function readJanus(
  options: Options<typeof janusFlags>,
  env: (name: string) => string | undefined,
  warn: (sentence: string) => void,
): Promise<JanusSettings> {
  const { janusUrl, parseJanusNodes } = await import("../s2ds/placed/janus/settings.ts");
  const url = needed(options.janusUrl, "--janus-url URL");
  const user = needed(options.janusUser, "--janus-user NAME");
  const nodes = needed(options.janusNode, "--janus-node NAME=WAN_IP[/LAN_IP]");
  const profile = needed(options.janusProfile, "--janus-profile NAME");
  const configDir = needed(options.janusConfigDir, "--janus-config-dir DIR");
  const { janusCa, janusInsecure: insecure, janusImage: image } = options;
  if (janusCa !== undefined && insecure) {
    throw new UsageError("--janus-ca and --janus-insecure contradict each other; leave one away");
  }
  return {
    access: {
      url: janusUrl(url),
      user,
      password: await readPassword(options.janusPasswordFile, env, warn),
      ca: janusCa === undefined ? undefined : await read(janusCa, "certificates of --janus-ca"),
      insecure,
    },
    nodes: parseJanusNodes(nodes),
    ...{ profile, image, configDir },
  };
}

function needed(value: string | undefined, flag: string): string {
  if (value) return value;
  throw new UsageError(`--type Janus needs ${flag}`);
}

async function readPassword(
  file: string | undefined,
  env: (name: string) => string | undefined,
  warn: (sentence: string) => void,
): Promise<Secret> {
  const said = env("SCISTREAM_JANUS_PASSWORD");
  if (file === undefined) {
    if (said) return new Secret(said);
    throw new UsageError(
      "--type Janus needs a password: give --janus-password-file FILE, or set SCISTREAM_JANUS_PASSWORD",
    );
  }
  if (said) {
    throw new UsageError(
      "both --janus-password-file and SCISTREAM_JANUS_PASSWORD are given; leave one of them away",
    );
  }
  const password = (await read(file, "password of Janus")).replace(/\r?\n$/, "");
  if (password === "") throw new UsageError(`the password file ${file} is empty`);
  await warnIfShared(file, warn);
  return new Secret(password);
}

async function read(path: string, what: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new UsageError(`cannot read the ${what} ${path}: ${messageOf(error)}`);
  }
}
