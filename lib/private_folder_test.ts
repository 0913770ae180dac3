import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { distrust, distrustFile, makePrivateFolder, whoAmI } from "./private_folder.ts";
import { ScistreamError } from "./protocol/errors.ts";

const OTHER = 65534;
const isRoot = Deno.uid() === 0;
const because = isRoot ? "" : " (it takes root to give files to others)";

function folder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "scistream-private-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}
const mode = (path: string) => (Deno.lstatSync(path).mode ?? 0) & 0o7777;
function mkdir(path: string, bits: number): string {
  Deno.mkdirSync(path);
  Deno.chmodSync(path, bits);
  return path;
}

Deno.test("a folder is made for this user alone, and one that is there becomes so", () => {
  using temp = folder();
  const made = makePrivateFolder(`${temp.path}/a/b`, "gateway", "choose another");
  assertEquals(made, `${temp.path}/a/b/gateway`);
  for (const path of ["a", "a/b", "a/b/gateway"]) assertEquals(mode(`${temp.path}/${path}`), 0o700);
  Deno.chmodSync(made, 0o777);
  makePrivateFolder(`${temp.path}/a/b`, "gateway", "choose another");
  assertEquals(mode(made), 0o700);
  assertEquals([...Deno.readDirSync(`${temp.path}/a/b`)].length, 1);
});

Deno.test("one that others can write to is refused, with what to do; one that they can read is not", () => {
  using temp = folder();
  for (const bits of [0o777, 0o1777, 0o770, 0o720, 0o702]) {
    const path = mkdir(`${temp.path}/${bits}`, bits);
    const error = assertThrows(
      () => makePrivateFolder(path, "g", "choose another"),
      ScistreamError,
    );
    assertMatch(
      error.message,
      /^the folder \S+ can be written to by other users \(mode 1?7\d\d\): chmod go-w it; choose another$/,
    );
    assertEquals([...Deno.readDirSync(path)], []);
  }
  for (const bits of [0o755, 0o750, 0o700]) {
    assertEquals(distrust(mkdir(`${temp.path}/${bits}`, bits)), undefined);
  }
});

Deno.test("below a folder in which others can rename things nothing is private; a sticky one is like /tmp", () => {
  using temp = folder();
  mkdir(`${temp.path}/open`, 0o777);
  mkdir(`${temp.path}/open/mine`, 0o700);
  assertMatch(
    distrust(`${temp.path}/open/mine`) ?? "",
    /^is not safe: other users can replace what is in \S+\/open \(mode 777\)$/,
  );
  // A group that may write there was chosen by whoever owns it.
  Deno.chmodSync(`${temp.path}/open`, 0o775);
  assertEquals(distrust(`${temp.path}/open/mine`), undefined);
  Deno.chmodSync(`${temp.path}/open`, 0o1777);
  assertEquals(distrust(`${temp.path}/open/mine`), undefined);
});

Deno.test({
  name: `one of another user's is refused, whatever its mode${because}`,
  ignore: !isRoot,
  fn() {
    using temp = folder();
    const theirs = mkdir(`${temp.path}/theirs`, 0o700);
    Deno.chownSync(theirs, OTHER, OTHER);
    assertEquals(distrust(theirs), `belongs to user ${OTHER}, and this is user 0`);
    mkdir(`${theirs}/mine`, 0o700);
    assertMatch(
      distrust(`${theirs}/mine`) ?? "",
      /^is not safe: \S+\/theirs belongs to user 65534$/,
    );
  },
});

Deno.test({
  name: `a symbolic link is followed where root or this user made it, and nobody else${because}`,
  ignore: !isRoot,
  fn() {
    using temp = folder();
    mkdir(`${temp.path}/real`, 0o700);
    Deno.symlinkSync("real", `${temp.path}/ours`);
    Deno.symlinkSync(`${temp.path}/real`, `${temp.path}/theirs`);
    new Deno.Command("chown", { args: ["-h", String(OTHER), `${temp.path}/theirs`] }).outputSync();
    assertEquals(distrust(`${temp.path}/ours`), undefined);
    assertEquals(distrust(`${temp.path}/ours/../ours/.`), undefined);
    assertMatch(
      distrust(`${temp.path}/theirs`) ?? "",
      /^is not safe: \S+\/theirs belongs to user 65534$/,
    );
    // One of ours that leads to theirs, too.
    Deno.symlinkSync("theirs", `${temp.path}/chain`);
    assertMatch(distrust(`${temp.path}/chain`) ?? "", /theirs belongs to user 65534$/);
  },
});

Deno.test("links that lead in a circle are an error, not a hang", () => {
  using temp = folder();
  Deno.symlinkSync("b", `${temp.path}/a`);
  Deno.symlinkSync("a", `${temp.path}/b`);
  const error = assertThrows(() => makePrivateFolder(`${temp.path}/a`, "g", "x"), ScistreamError);
  assertMatch(error.message, /^cannot make the folder /);
});

Deno.test("a file to write to: made here or ours it is taken; what others could write, or no file, is not", () => {
  using temp = folder();
  const own = whoAmI(temp.path);
  assertEquals([...Deno.readDirSync(temp.path)], []);
  const path = `${temp.path}/audit.jsonl`;
  assertEquals(distrustFile(path, own), undefined);
  Deno.writeTextFileSync(path, "", { mode: 0o600 });
  assertEquals(distrustFile(path, own), undefined);
  Deno.chmodSync(path, 0o640);
  assertEquals(distrustFile(path, own), undefined);
  Deno.chmodSync(path, 0o666);
  assertMatch(
    distrustFile(path, own) ?? "",
    /^other users can write to it \(mode 666\): chmod go-w it$/,
  );
  assertEquals(distrustFile(temp.path, own), "it is not a file");
  assertThrows(() => distrustFile(`${temp.path}/nowhere/audit`, own), Deno.errors.NotFound);
});

Deno.test({
  name:
    `a file's name that somebody else made a link is not written to, wherever it leads${because}`,
  ignore: !isRoot,
  fn() {
    using temp = folder();
    const shared = mkdir(`${temp.path}/tmp`, 0o1777);
    Deno.writeTextFileSync(`${temp.path}/important`, "");
    for (const [name, to] of [["audit", `${temp.path}/important`], ["new", `${temp.path}/made`]]) {
      const link = `${shared}/${name}`;
      Deno.symlinkSync(to as string, link);
      new Deno.Command("chown", { args: ["-h", String(OTHER), link] }).outputSync();
      assert(distrustFile(link, 0)?.endsWith("belongs to user 65534"), name);
    }
  },
});
