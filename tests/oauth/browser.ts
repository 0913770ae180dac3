/**
 * A user with a real browser.
 * @module
 */
import { chromium, type Page } from "playwright-core";

/** What Chromium is started with. */
export const BROWSER_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // oidc-provider's pages want a font from elsewhere.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

const PATIENCE_MS = 30_000;

/** The page where a login ended. */
export interface LastPage {
  url: string;
  /** Empty where nobody listened. */
  text: string;
}

/**
 * Logs in at oidc-provider's development pages and consents.
 * @param url where the client sends its user
 * @throws {Error} with the page's text when it ends at the provider
 */
export async function signIn(url: string, user: string): Promise<LastPage> {
  // A fresh profile, which is gone when it closes.
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: BROWSER_FLAGS,
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    return await walk(page, new URL(url), user);
  } finally {
    await browser.close();
  }
}

async function walk(page: Page, start: URL, user: string): Promise<LastPage> {
  let goal = start.href;
  page.on("request", (request) => {
    if (request.isNavigationRequest()) goal = request.url();
  });
  try {
    await page.goto(start.href);
    while (isAtProvider(start, new URL(page.url()))) await fillIn(page, user);
    return { url: page.url(), text: await page.innerText("body") };
  } catch (error) {
    // The client's own page, where no client is.
    const refused = String(error).includes("net::ERR_CONNECTION_REFUSED");
    if (refused && !isAtProvider(start, new URL(goal))) return { url: goal, text: "" };
    throw error;
  }
}

function isAtProvider(start: URL, { origin, pathname }: URL): boolean {
  return origin === start.origin && (pathname.startsWith("/interaction/") ||
    pathname === start.pathname || pathname.startsWith(`${start.pathname}/`));
}

/** Presses the page's one button, and waits until that has led somewhere. */
async function fillIn(page: Page, user: string): Promise<void> {
  const submit = page.locator("form [type=submit]");
  if (await submit.count() !== 1) {
    throw new Error(`the provider's page says: ${(await page.innerText("body")).trim()}`);
  }
  for (const name of ["login", "password"]) {
    const field = page.locator(`input[name=${name}]`);
    if (await field.count() > 0) await field.fill(user);
  }
  await Promise.all([page.waitForNavigation(), submit.click()]);
}
