/**
 * Manual pages, made from the flag tables: one for each command, one for each group of several, and
 * one for configuration files.
 * @module
 */
import { Eta } from "eta";
import template from "../../../templates/man.eta" with { type: "text" };
import { VERSION, VERSION_DATE } from "../../version.ts";
import { type Command, Exit, type Group } from "../command.ts";
import { type Argument, envName, type Flag, flagName, type Flags } from "../flags.ts";
import { usageOf } from "../help.ts";
import { SERVER_KEYS } from "../servers.ts";
import { example, paragraphs, roff } from "./roff.ts";

/** A manual page. */
export interface Page {
  /** `s2uc-prod-req`. */
  name: string;
  /** 1: commands, 5: files. */
  section: 1 | 5;
  /** In roff. */
  text: string;
}

interface Section {
  title: string;
  /** In roff. */
  text?: string;
  rows?: readonly Row[];
}

interface Row {
  term: string;
  value?: string;
  help: string;
}

const CONFIG_PAGE = "scistream.toml";

const EXIT_STATUS: Record<keyof typeof Exit, string> = {
  OK: "Done.",
  FAILED: "Refused by a server, or failed.",
  USAGE: "The command line, the environment or a file is wrong: mend it, then try again.",
  UNREACHABLE: "A control server, or a container engine, was not reached.",
  INTERRUPTED: "Interrupted by Ctrl-C or SIGTERM.",
};

/**
 * All pages.
 * @param details paragraphs about the whole
 */
export function manualPages(groups: readonly Group[], details: string): Page[] {
  const commands = groups.flatMap((group) =>
    group.commands.map((each) => commandPage(group, each))
  );
  return [
    topPage(groups, details),
    ...groups.filter((group) => group.standard === undefined).map(groupPage),
    ...commands,
    configPage(groups),
  ];
}

/** The name of a group's page, or of a command's: `s2uc`, `s2uc-prod-req`, `scistream-cert`. */
function pageName(group: Group, name?: string): string {
  const first = group.program ? group.name : `scistream-${group.name}`;
  return name === undefined || name === group.standard ? first : `${first}-${name}`;
}

/** What is typed for a group. */
function programOf(group: Group): string {
  return group.program ? group.name : `scistream ${group.name}`;
}

function topPage(groups: readonly Group[], details: string): Page {
  const rows = groups.map((group) => ({
    term: group.name,
    help: `${group.summary}. See ${pageName(group)}(1).`,
  }));
  return page("scistream", 1, "stream data memory to memory between institutions", {
    usage: [{ program: "scistream", words: "COMMAND ..." }, {
      program: "scistream",
      words: "help [COMMAND ...]",
    }, { program: "scistream", words: "--version" }],
    sections: [
      { title: "DESCRIPTION", text: paragraphs(details) },
      { title: "COMMANDS", rows },
      exitStatus(),
      environment(),
      ...files(groups),
    ],
    also: [...groups.map((group) => ({ name: pageName(group), section: 1 })), CONFIG],
  });
}

function groupPage(group: Group): Page {
  const rows = group.commands.map(({ name, summary }) => ({
    term: name,
    help: `${summary}. See ${pageName(group, name)}(1).`,
  }));
  return page(pageName(group), 1, group.summary, {
    usage: [{ program: programOf(group), words: "COMMAND [OPTIONS] ..." }],
    sections: [{ title: "COMMANDS", rows }, exitStatus(), environment(), ...files([group])],
    also: [
      SCISTREAM,
      ...group.commands.map(({ name }) => ({ name: pageName(group, name), section: 1 })),
      CONFIG,
    ],
  });
}

function commandPage(group: Group, record: Command): Page {
  const { name, summary, details, flags, args, rest, examples } = record;
  const isStandard = name === group.standard;
  const options = Object.entries(flags).map(([key, flag]) => ({
    term: (flag.short ? `-${flag.short}, ` : "") + `--${flagName(key)}`,
    value: flag.value,
    help: `${sentence(flag)} Environment: ${envName(key, flag)}.`,
  }));
  const given = [...args, ...rest ? [rest] : []].map((arg) => ({
    term: arg.name,
    help: sentence(arg),
  }));
  const hasConfig = "config" in flags;
  return page(pageName(group, name), 1, summary, {
    usage: [{
      program: isStandard ? programOf(group) : `${programOf(group)} ${name}`,
      words: usageOf({ path: "", summary, flags, args, rest }),
    }],
    sections: [
      { title: "DESCRIPTION", text: paragraphs(details ?? `${summary}.`) },
      ...given.length > 0 ? [{ title: "ARGUMENTS", rows: given }] : [],
      ...options.length > 0 ? [{ title: "OPTIONS", rows: options }] : [],
      ...examples ? [{ title: "EXAMPLES", text: example(examples) }] : [],
      exitStatus(),
      ...options.length > 0 ? [environment()] : [],
      ...hasConfig ? files([group]) : [],
    ],
    also: [
      SCISTREAM,
      ...isStandard ? [] : [{ name: pageName(group), section: 1 }],
      ...hasConfig ? [CONFIG] : [],
    ],
  });
}

/** Configuration files: what all have in common, then the keys of each. */
function configPage(groups: readonly Group[]): Page {
  const configured = groups.filter((group) => configurable(group).length > 0);
  return page(CONFIG_PAGE, 5, "configuration files of SciStream's commands", {
    usage: [],
    sections: [
      {
        title: "DESCRIPTION",
        text: paragraphs(
          `A file is TOML. Its keys are the options of the commands that read it, without the dashes before them: num-conn = 3. Values are texts, numbers, true or false, or lists of them.

Keys at the top are for every command that has such an option. A table is for one command, as in [prod-req], and wins over the top. An unknown key is an error.

What the environment says wins over a file, and an option of the command line over both.`,
        ),
      },
      ...configured.map((group) => ({ title: `KEYS OF ${group.name}.toml`, rows: keys(group) })),
      {
        title: "CONTROL SERVERS",
        text: paragraphs(
          `In a file of commands that talk to control servers a table [servers."HOST:PORT"] is about one of them. Files are looked for beside the configuration file.`,
        ),
        rows: Object.entries(SERVER_KEYS).map(([term, { help }]) => ({ term, help: full(help) })),
      },
      {
        title: "EXAMPLES",
        text: example([
          'server-cert = "gateway.crt"',
          "",
          "[prod-req]",
          's2cs = "192.168.10.11:5007"',
          "num-conn = 3",
          "",
          '[servers."192.168.30.10:5007"]',
          'server-cert = "consumer.crt"',
        ]),
      },
      { title: "FILES", rows: configured.flatMap(configFiles) },
    ],
    also: [SCISTREAM, ...configured.map((group) => ({ name: pageName(group), section: 1 }))],
  });
}

/** Commands of a group that read its file. */
function configurable(group: Group): Command[] {
  return group.commands.filter(({ flags }) => "config" in flags);
}

/** Every key of a group's file, and which commands it is for where it is not for all. */
function keys(group: Group): Row[] {
  const commands = configurable(group);
  const flags: Flags = Object.assign({}, ...commands.map((each) => each.flags));
  return Object.entries(flags).filter(([key]) => key !== "config").map(([key, flag]) => {
    const having = commands.filter((each) => key in each.flags);
    const [first] = having;
    const same = having.every((each) => sentence(each.flags[key]!) === sentence(flag));
    const help = same ? sentence(flag) : full(first?.flags[key]?.help ?? "");
    return {
      term: flagName(key),
      value: flag.value ?? "true|false",
      help: having.length === commands.length
        ? help
        : `${help} For ${having.map(({ name }) => name).join(", ")}.`,
    };
  });
}

function files(groups: readonly Group[]): Section[] {
  const rows = groups.flatMap((group) => [...configFiles(group), ...state(group)]);
  return rows.length > 0 ? [{ title: "FILES", rows }] : [];
}

function configFiles(group: Group): Row[] {
  if (configurable(group).length === 0) return [];
  return [{
    term: `~/.config/scistream/${group.name}.toml`,
    help: `Read without --config, if it is there; $XDG_CONFIG_HOME counts. See ${CONFIG_PAGE}(5).`,
  }];
}

function state(group: Group): Row[] {
  return (group.files ?? []).map(({ name, help }) => ({
    term: `~/.local/state/scistream/${name}`,
    help: full(help),
  }));
}

function exitStatus(): Section {
  const rows = Object.entries(EXIT_STATUS).map(([name, help]) => ({
    term: String(Exit[name as keyof typeof Exit]),
    help,
  }));
  return { title: "EXIT STATUS", rows };
}

function environment(): Section {
  return {
    title: "ENVIRONMENT",
    text: paragraphs(
      `Every option can also be set by the variable that is named with it; the option wins. SCISTREAM_STATE_DIR, or $XDG_STATE_HOME/scistream, is where state and logins are kept instead of ~/.local/state/scistream. SCISTREAM_TOKEN is an access token for calls to control servers, instead of a login.`,
    ),
  };
}

/** An option or argument: what it is, what it may be, and what it is without being given. */
function sentence(each: Flag<unknown> | Argument): string {
  const { help, choices } = each;
  const placeholder = "value" in each ? each.value : undefined;
  const known = `${placeholder} ${help}`;
  const untold = choices?.some((each) => !known.includes(each));
  return full(help) + (untold ? ` One of ${choices?.join(", ")}.` : "") +
    (each.default ? ` Default: ${each.default}.` : "");
}

/** A help text as a sentence. */
function full(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

const SCISTREAM = { name: "scistream", section: 1 };
const CONFIG = { name: CONFIG_PAGE, section: 5 };

function page(
  name: string,
  section: Page["section"],
  summary: string,
  rest: {
    usage: { program: string; words: string }[];
    sections: Section[];
    also: { name: string; section: number }[];
  },
): Page {
  const eta = new Eta({ autoEscape: false });
  const text = eta.renderString(template, {
    ...{ name, section, summary, ...rest, roff },
    title: roff(name.toUpperCase()),
    date: VERSION_DATE,
    source: `scistream ${VERSION}`,
  });
  return { name, section, text };
}
