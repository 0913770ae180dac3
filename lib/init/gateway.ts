/**
 * What a gateway starts from: a configuration, a certificate and its key, perhaps a client's secret.
 * @module
 */
import { isIP } from "node:net";
import { resolve } from "node:path";
import { makeCertificate } from "../certificate.ts";
import { type Flags, UsageError } from "../cli/flags.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { quote } from "../protocol/errors.ts";
import { configText } from "./config_text.ts";
import { type NewFile, writeFiles } from "./files.ts";
import type { Answers } from "./questions.ts";

/** What was written, and what to type next. */
export interface Made {
  config: string;
  certificate: string;
  key: string;
  /** Where s2cs looks for the client's secret; undefined where callers are not authenticated. */
  clientSecretFile?: string;
  /** Where each file is that was written. */
  written: string[];
  /** Names and addresses in the certificate. */
  names: string[];
  /** Commands, each with what it is for. */
  next: { what: string; commands: string[] }[];
}

const NAMES = {
  config: "s2cs.toml",
  cert: "server.crt",
  key: "server.key",
  secret: "client-secret",
};
const DAYS = 365;
/** Where the systemd unit looks. */
const SERVICE = "/etc/scistream";

/**
 * Makes and writes them.
 * @param flags of the control server
 * @param own addresses of this machine, for a gateway that listens on all
 * @param names host names that clients use
 * @throws {UsageError} where nothing could be written; nothing is then left
 */
export async function makeGateway(
  { texts, secret }: Answers,
  { flags, own, names, force }: {
    flags: Flags;
    own: readonly string[];
    names: readonly string[];
    force: boolean;
  },
): Promise<Made> {
  const { dir, ...chosen } = texts;
  const folder = resolve(dir ?? ".");
  // It stands in a comment, and in commands to type.
  if (/\p{Cc}/u.test(folder)) {
    throw new UsageError(`--dir ${quote(folder)} is no name for a folder`);
  }
  const at = (name: string) => `${folder}/${name}`;
  const listener = new Endpoint(
    String(flags.listenerIp?.parse(chosen.listenerIp ?? "")),
    Number(chosen.port ?? flags.port?.default),
  );
  const meant = [listener.isWildcard ? own : [listener.host], chosen.wanIp ?? [], names].flat();
  const hosts = [...new Set(meant.filter((host) => !new Endpoint(host, 1).isWildcard))];
  if (hosts.length === 0) {
    throw new UsageError(
      `the certificate needs an address or name that clients use, which ${listener.host} is not; give --wan-ip or --dns`,
    );
  }
  const asked = chosen.clientId !== undefined;
  if (asked) chosen.clientSecretFile = resolve(chosen.clientSecretFile ?? at(NAMES.secret));
  const { cert, key } = await makeCertificate({
    ips: hosts.filter((host) => isIP(host)),
    names: hosts.filter((host) => !isIP(host)),
    days: DAYS,
  });
  const config = configText(flags, {
    ...chosen,
    serverCrt: at(NAMES.cert),
    serverKey: at(NAMES.key),
  }, [
    `The control server of this gateway: s2cs --config ${at(NAMES.config)}`,
    "",
    "Every option of s2cs is here. Those that are comments have the value that is shown, unless",
    "they say otherwise. The environment (SCISTREAM_…) wins over this file, a flag over both.",
  ]);
  const files: NewFile[] = [
    { name: NAMES.key, text: key, mode: 0o600 },
    { name: NAMES.cert, text: cert, mode: 0o644 },
    ...secret ? [{ name: NAMES.secret, text: `${secret.reveal()}\n`, mode: 0o600 }] : [],
    // Somebody may put a secret into it.
    { name: NAMES.config, text: config, mode: 0o600 },
  ];
  writeFiles(folder, files, force);
  const made = {
    config: at(NAMES.config),
    certificate: at(NAMES.cert),
    key: at(NAMES.key),
    clientSecretFile: chosen.clientSecretFile,
    written: files.map(({ name }) => at(name)),
    names: hosts,
  };
  const lacks = asked && !secret && texts.clientSecretFile === undefined;
  const client = new Endpoint(
    listener.isWildcard ? hosts[0] as string : listener.host,
    listener.port,
  );
  return { ...made, next: nextSteps(made, folder, client, lacks) };
}

function nextSteps(
  { config, certificate, key, clientSecretFile }: Omit<Made, "next">,
  folder: string,
  address: Endpoint,
  lacksSecret: boolean,
): Made["next"] {
  const [toml, crt, secret] = [config, certificate, clientSecretFile ?? ""].map(shell);
  const secrets = clientSecretFile === undefined ? [] : [
    `sudo install -m 600 ${secret} ${SERVICE}/client-secret`,
    "sudo install -D -m 644 scripts/systemd/authentication.conf -t /etc/systemd/system/scistream-s2cs.service.d",
  ];
  return [
    ...lacksSecret
      ? [{
        what: "put the client's secret where only this user can read it",
        commands: [`(umask 077; cat > ${secret})`],
      }]
      : [],
    { what: "check this machine", commands: [`scistream doctor --config ${toml}`] },
    { what: "start the control server", commands: [`s2cs --config ${toml}`] },
    {
      what: "or have systemd run it (from the source folder, after scripts/install.sh /usr/local)",
      commands: [
        "sudo useradd --system --home-dir /var/lib/scistream --shell /usr/sbin/nologin scistream",
        ...folder === SERVICE
          ? [
            `sudo chgrp scistream ${SERVICE} ${SERVICE}/s2cs.toml ${SERVICE}/server.crt ${SERVICE}/server.key`,
            `sudo chmod 750 ${SERVICE}`,
            `sudo chmod 640 ${SERVICE}/s2cs.toml ${SERVICE}/server.crt ${SERVICE}/server.key`,
          ]
          : [
            `sudo install -d -m 750 -g scistream ${SERVICE}`,
            `sudo install -m 640 -g scistream ${toml} ${crt} ${shell(key)} -t ${SERVICE}`,
          ],
        ...folder === SERVICE ? secrets.slice(1) : secrets,
        "sudo install -m 644 scripts/systemd/scistream-s2cs.service /etc/systemd/system/",
        "sudo systemctl daemon-reload && sudo systemctl enable --now scistream-s2cs",
      ],
    },
    {
      what: "take the certificate to every host that talks to this gateway, and try it there",
      commands: [
        `scp ${
          shell(`${address.host.includes(":") ? `[${address.host}]` : address.host}:${certificate}`)
        } server.crt`,
        `scistream doctor --s2cs ${address} --server-cert server.crt`,
      ],
    },
  ];
}

/** A word of a shell's command line. */
function shell(word: string): string {
  return /^[\w./:@[\]-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
