/**
 * A user with a keyboard, a browser and files of their own.
 * @module
 */
import { assertEquals } from "@std/assert";
import { type Ended, KEYBOARD, Running, SCISTREAM, scistream, tempFolder } from "../harness.ts";
import { type LastPage, signIn } from "./browser.ts";

/** One user, whose files are gone when the test ends. */
export class User implements Disposable {
  readonly #folder = tempFolder();
  readonly name: string;
  readonly env: Record<string, string>;

  constructor(name: string) {
    this.name = name;
    this.env = {
      SCISTREAM_STATE_DIR: `${this.#folder.path}/state`,
      XDG_CONFIG_HOME: `${this.#folder.path}/config`,
    };
  }

  /** Where the tokens are. */
  get tokens(): string {
    return `${this.env.SCISTREAM_STATE_DIR}/tokens.json`;
  }

  /** A folder of the user's own. */
  get home(): string {
    return this.#folder.path;
  }

  /** Where the user's configuration is. */
  get configFolder(): string {
    return `${this.env.XDG_CONFIG_HOME}/scistream`;
  }

  /** Writes `s2uc.toml` where it is looked for. */
  configure(toml: string): void {
    const folder = this.configFolder;
    Deno.mkdirSync(folder, { recursive: true });
    for (const group of ["s2uc", "appctrl"]) {
      Deno.writeTextFileSync(`${folder}/${group}.toml`, toml);
    }
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<Ended> {
    return scistream(args, { env: this.env });
  }

  /** Starts a command at the keyboard. */
  start(args: string[], env: Record<string, string> = {}, cwd?: string): Running {
    const command = [...SCISTREAM, ...args];
    return new Running(command, { env: { ...this.env, ...env }, cwd, stdin: KEYBOARD });
  }

  /**
   * `s2uc login`: signs in with a real browser where it says, and pastes what `copy` takes from the
   * last page.
   */
  async login(
    flags: string[],
    copy: (page: LastPage) => string,
    at?: { env: Record<string, string>; path: string },
  ): Promise<Ended> {
    const process = this.start(["s2uc", "login", ...flags], { ...at?.env, ...this.env }, at?.path);
    const [, url = ""] = await process.line(
      /Please authenticate with [^\n]+ here:\n-+\n(\S+)\n-+\n[^]*Enter the resulting Authorization Code here:/,
    );
    await process.type(copy(await signIn(url, this.name)));
    return await process.ended;
  }

  /** The tokens of the file, by scope. */
  saved(): Record<string, { accessToken: string; refreshToken: string; name: string }> {
    const { logins } = JSON.parse(Deno.readTextFileSync(this.tokens));
    assertEquals((Deno.statSync(this.tokens).mode ?? 0) & 0o777, 0o600);
    return Object.fromEntries(logins.map((each: { scope: string }) => [each.scope, each]));
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** The code that Globus' page shows. */
export const codeOf = ({ text }: LastPage): string => /[\w-]{20,}/.exec(text)?.[0] ?? text;
