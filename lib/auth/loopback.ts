import { messageOf, ScistreamError } from "../protocol/errors.ts";

/** A page on this machine that the browser comes back to (RFC 8252 section 7.3). */
export interface Loopback extends AsyncDisposable {
  /** Its address. */
  readonly redirectUri: string;
  /** What the browser brings. */
  answer(isAnswer: (parameters: URLSearchParams) => boolean): Promise<URLSearchParams>;
}

const CAME_BACK = `<!doctype html><html lang="en"><meta charset="utf-8"><title>SciStream</title>
<body style="font:1.2em sans-serif;margin:4em"><p>SciStream has what it needs. Close this page and go
back to the terminal.</p></body></html>`;

/**
 * Listens for a browser.
 * @param redirectUri `http://127.0.0.1:PORT/PATH`; without a port, or with port 0, a free one is taken
 * @throws {ScistreamError} BAD_FORMAT for an address elsewhere, CONN_ERROR when the port is taken
 */
export function listenForBrowser(redirectUri: string, signal: AbortSignal): Loopback {
  const url = URL.parse(redirectUri);
  if (url?.protocol !== "http:" || !/^(127\.0\.0\.1|localhost|\[::1\])$/.test(url.hostname)) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `--browser needs a redirect URI on this machine, as in http://127.0.0.1/callback, and not ${redirectUri}`,
    );
  }
  const came = Promise.withResolvers<URLSearchParams>();
  // Whoever does not wait for it any more is not told either.
  came.promise.catch(() => {});
  let isAnswer = (_parameters: URLSearchParams) => false;
  const hostname = url.hostname === "[::1]" ? "::1" : "127.0.0.1";
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname, port: Number(url.port), onListen: () => {} }, (request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname !== url.pathname) return new Response("not here\n", { status: 404 });
      if (!isAnswer(searchParams)) {
        return new Response("this belongs to no login that is under way\n", { status: 400 });
      }
      came.resolve(searchParams);
      return new Response(CAME_BACK, {
        headers: { "content-type": "text/html", "cache-control": "no-store", connection: "close" },
      });
    });
  } catch (error) {
    throw new ScistreamError("CONN_ERROR", `cannot listen for the browser: ${messageOf(error)}`);
  }
  url.port = String(server.addr.port);
  const stop = () => came.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  return {
    redirectUri: url.href,
    answer(check) {
      isAnswer = check;
      if (signal.aborted) stop();
      return came.promise;
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", stop);
      await server.shutdown();
    },
  };
}
