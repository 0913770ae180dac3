// `deno task pictures [SECONDS]`: the pictures of docs/dashboard.md, from a real gateway with real
// streams of iperf3 through it, as a real browser shows them.
import type { BrowserContextOptions } from "playwright-core";
import { browse, IperfStream, watched } from "../tests/browsing.ts";

/** A picture: which page, how, and where it goes. */
interface Picture {
  file: string;
  path: string;
  look: BrowserContextOptions;
}

const FOLDER = new URL("../docs/pictures/", import.meta.url);
const seconds = Number(Deno.args[0] ?? 300);
if (!(seconds >= 5)) {
  console.error("usage: deno task pictures [SECONDS, at least 5]: how long to stream before");
  Deno.exit(2);
}

await using stack = new AsyncDisposableStack();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // What was started ends with it.
  Deno.addSignalListener(signal, () => stack.disposeAsync().finally(() => Deno.exit(130)));
}
const { gateway, url } = stack.use(await watched(["--wan=plain", "--workers=1"]));

/** Five streams, told apart by their speed, direction and number of channels. */
const STREAMS = [
  { at: "127.0.2.10", from: "127.0.1.5", channels: 4, flags: ["-R", "-P", "4", "-b", "110M"] },
  { at: "127.0.2.10", from: "127.0.1.6", channels: 2, flags: ["-R", "-P", "2", "-b", "125M"] },
  { at: "127.0.2.20", from: "127.0.1.6", channels: 1, flags: ["-b", "160M"] },
  { at: "127.0.2.30", from: "127.0.1.7", channels: 2, flags: ["-R", "-b", "60M"] },
  { at: "127.0.2.30", from: "127.0.1.8", channels: 1, flags: ["-b", "8M"] },
];
for (const [i, { at, from, channels, flags }] of STREAMS.entries()) {
  const stream = stack.use(await IperfStream.start(gateway, at, channels));
  // One after another, until after the pictures.
  const start = Math.floor(seconds * i / 7);
  const time = String(seconds + 60 - start);
  setTimeout(() => stream.send(from, ...flags, "-t", time), start * 1000);
}
// One that nobody streams through yet.
stack.use(await IperfStream.start(gateway, "127.0.2.40"));
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const browser = stack.use(await browse());
const desktop = { viewport: { width: 1280, height: 860 } };
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
const [session] = await (async () => {
  const page = await browser.newPage();
  await page.goto(url);
  const links = page.locator("#sessions td.link a");
  const names = await links.allInnerTexts();
  await page.close();
  // The oldest is the fastest.
  return names.slice(-1);
})();
const PICTURES: Picture[] = [
  { file: "dashboard.png", path: "/", look: { ...desktop, colorScheme: "light" } },
  { file: "dashboard-dark.png", path: "/", look: { ...desktop, colorScheme: "dark" } },
  { file: "dashboard-phone.png", path: "/", look: { ...phone, colorScheme: "light" } },
  { file: "session.png", path: `/sessions/${session}`, look: { ...desktop, colorScheme: "light" } },
];
Deno.mkdirSync(FOLDER, { recursive: true });
for (const { file, path, look } of PICTURES) {
  const context = await browser.newContext({ ...look, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(url + path);
  await page.locator("#live[data-live=true]").waitFor();
  const picture = await page.screenshot({ path: new URL(file, FOLDER).pathname, scale: "device" });
  console.log(`docs/pictures/${file}  ${Math.round(picture.length / 1000)} kB`);
  await context.close();
}
