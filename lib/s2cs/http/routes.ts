/**
 * What is answered at which path, and to whom.
 * @module
 */
import type { Registry } from "prom-client";
import { Buckets } from "../../buckets.ts";
import { addressOf } from "../../protocol/address.ts";
import { ScistreamError, Status } from "../../protocol/errors.ts";
import { asset } from "./assets.ts";
import type { Feed } from "./feed.ts";
import type { Answer, Asked } from "./listen.ts";
import { isFromHere, type Names } from "./names.ts";
import { overviewPage, sessionPage, signInPage } from "./pages.ts";
import { release } from "./release.ts";
import type { HttpOptions } from "./serve.ts";
import { HEAD, type View } from "./view.ts";
import type { Visitors } from "./visitors.ts";

/** On every answer. */
const HEADERS = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // Of no-referrer, browsers make a form's Origin null, which is then nobody's.
  "referrer-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

/**
 * Requests a second of one address, and twice as many at once. Bounds of their own: whoever floods the
 * control server with calls must not keep the operator from looking on.
 */
const REQUESTS = 200;

/** What answers are made of. */
interface Parts extends HttpOptions {
  names: Names;
  registry: Registry;
  feed: Feed;
  view: View;
  visitors: Visitors;
}

/** Answers requests. */
export class Routes {
  readonly #parts: Parts;
  readonly #requests = new Buckets(() => ({ rate: REQUESTS, burst: 2 * REQUESTS }));

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whatever goes wrong is an answer too. */
  async answer(asked: Asked): Promise<Answer> {
    const answer = await this.#answer(asked).catch((error) => this.#refusal(error));
    return { ...answer, headers: { ...HEADERS, ...answer.headers } };
  }

  /** What is no error of ours tells nothing but where the log says more. */
  #refusal(error: unknown): Answer {
    if (error instanceof ScistreamError) return refusal(error);
    const logId = crypto.randomUUID().slice(0, 8);
    const what = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#parts.front.log("error", `[${logId}] http: ${what}`);
    return line(500, `the control server failed inside; its log says more under ${logId}`);
  }

  async #answer(asked: Asked): Promise<Answer> {
    const { path, method } = asked;
    const { names, notReady } = this.#parts;
    const isRead = method === "GET" || method === "HEAD";
    if (isRead && path === "/healthz") return line(200, "alive");
    if (isRead && path === "/readyz") {
      const why = notReady();
      return why === undefined ? line(200, "ready") : line(503, why);
    }
    if (!names.mean(asked.header("host"))) {
      return line(
        421,
        "this server has no such name; use its address or a name of its certificate",
      );
    }
    if (!this.#requests.take(addressOf(asked.peer))) {
      return line(
        429,
        `more than ${REQUESTS} requests a second come from your address; wait a moment`,
      );
    }
    const file = isRead && asset(path);
    if (file) return file;
    if (isRead) return await this.#read(asked);
    if (method === "POST") return await this.#change(asked);
    return { ...line(405, "only GET and POST"), headers: { allow: "GET, HEAD, POST" } };
  }

  async #read(asked: Asked): Promise<Answer> {
    const { path } = asked;
    const { visitors, registry, feed, view, control, observer, measured } = this.#parts;
    const common = { gateway: String(control) };
    if (path === "/sign-in") return this.#signInPage(asked.query.get("next") ?? "/");
    const [, id, events] = /^\/(?:sessions\/([0-9a-f]{8}))?(\/?events)?$/.exec(path) ?? [null];
    const isPage = path === "/" || id !== undefined || path === "/events";
    if (!isPage && path !== "/metrics") return line(404, "not found");
    const visitor = await visitors.of(asked);
    if (!visitor) {
      if (path === "/metrics" || events) return unknown();
      return redirect(`/sign-in?next=${path}`);
    }
    if (path === "/metrics") {
      if (visitors.isClosed && !visitor.who?.admin) {
        return line(403, "the metrics are about everybody: they are for administrators (--admin)");
      }
      const headers = { "content-type": registry.contentType };
      return { status: 200, headers, body: await registry.metrics() };
    }
    if (events) {
      return feed.answer({
        key: visitor.who?.id ?? addressOf(asked.peer),
        visitor: () => visitors.of(asked),
        look: (at, { who }) => id ? view.one(at, who, id) : view.all(at, who),
        ofOne: id !== undefined,
      });
    }
    // Whoever has just made a session finds it.
    const now = await observer.now();
    const { who } = visitor;
    const page = { ...common, visitor };
    const nodes = measured.nodes !== undefined;
    if (!id) return overviewPage({ ...page, nodes }, view.all(now, who), view.past(now, who));
    const seen = view.one(now, who, id);
    if (!seen.rows.has(HEAD)) return line(404, `there is no session ${id} here that you may see`);
    return sessionPage(page, seen, view.past(now, who, id));
  }

  async #change(asked: Asked): Promise<Answer> {
    const { path } = asked;
    const { visitors, gateway, front, notReady } = this.#parts;
    if (!isFromHere(asked, /^bearer /i.test(asked.header("authorization")))) {
      return line(403, "this comes from a page of somebody else's");
    }
    const [type = ""] = asked.header("content-type").split(";");
    if (!["application/x-www-form-urlencoded", "application/json", ""].includes(type.trim())) {
      return line(415, "send a form or JSON");
    }
    const text = await asked.body();
    if (text === undefined) return line(413, "that is too long");
    if (path === "/sign-in") return await this.#signIn(asked, new URLSearchParams(text));
    if (path === "/sign-out") {
      return {
        ...redirect("/"),
        headers: { location: "/", "set-cookie": visitors.signOut(asked) },
      };
    }
    const id = /^\/sessions\/([0-9a-f]{8})\/release$/.exec(path)?.[1];
    if (!id) return line(404, "not found");
    const visitor = await visitors.of(asked);
    if (!visitor?.mayRelease) return unknown();
    const why = notReady();
    if (why !== undefined) return line(503, why);
    await release(gateway, front, { id, force: isForced(text, type), asked, visitor });
    return line(200, `session ${id} is released`);
  }

  async #signIn(asked: Asked, form: URLSearchParams): Promise<Answer> {
    const next = safe(form.get("next"));
    try {
      const cookie = await this.#parts.visitors.signIn(asked, form.get("token") ?? "");
      return { ...redirect(next), headers: { location: next, "set-cookie": cookie } };
    } catch (error) {
      if (!(error instanceof ScistreamError)) throw error;
      return this.#signInPage(next, error.message, refusal(error).status);
    }
  }

  #signInPage(next: string, wrong = "", status = 200): Answer {
    const { visitors, control } = this.#parts;
    const tokenPath = visitors.isClosed ? undefined : visitors.tokenPath;
    return signInPage({ gateway: String(control) }, { next: safe(next), wrong, status, tokenPath });
  }
}

/** A page of ours, and nobody else's. */
function safe(next: string | null): string {
  return next !== null && /^\/sessions\/[0-9a-f]{8}$/.test(next) ? next : "/";
}

function isForced(text: string, type: string): boolean {
  if (!type.includes("json")) return new URLSearchParams(text).get("force") === "true";
  try {
    return JSON.parse(text)?.force === true;
  } catch {
    throw new ScistreamError("BAD_FORMAT", "the body is not JSON");
  }
}

function line(status: number, text: string): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: `${text}\n` };
}

function redirect(location: string): Answer {
  return { status: 303, headers: { location } };
}

function unknown(): Answer {
  const answer = line(401, "show an access token: Authorization: Bearer …, or sign in at /sign-in");
  return { ...answer, headers: { ...answer.headers, "www-authenticate": "Bearer" } };
}

const STATUSES = new Map<ScistreamError["code"], number>([
  ["BAD_FORMAT", 400],
  ["INVALID_UID", 404],
  ["RATE_LIMIT", 429],
  ["UNAVAILABLE", 503],
]);

function refusal(error: ScistreamError): Answer {
  if (error.code === "AUTH_ERROR") {
    if (error.status !== Status.UNAUTHENTICATED) return line(403, error.message);
    const { headers } = unknown();
    return { ...line(401, error.message), headers };
  }
  return line(STATUSES.get(error.code) ?? 500, error.message);
}
