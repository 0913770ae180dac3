import { assertEquals } from "@std/assert";
import { RotatedFile } from "./rotated_file.ts";

function setUp(fileBytes: number, olderFiles: number) {
  const folder = Deno.makeTempDirSync({ prefix: "scistream-rotated-" });
  const path = `${folder}/log`;
  const warnings: string[] = [];
  const warn = (sentence: string) => void warnings.push(sentence);
  const file = new RotatedFile(path, { fileBytes, olderFiles, warn });
  return {
    folder,
    path,
    file,
    warnings,
    /** The files and what is in them. */
    files: () =>
      Object.fromEntries(
        [...Deno.readDirSync(folder)].filter((each) => each.isFile).map(({ name }) => name).sort()
          .map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
      ),
    [Symbol.dispose]() {
      file[Symbol.dispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

Deno.test("a full file is put aside, and the oldest goes; all are the owner's alone", () => {
  using at = setUp(4, 2);
  for (const line of ["1", "2", "3", "4", "5", "6", "7"]) at.file.write(line);
  assertEquals(at.files(), { "log": "7\n", "log.1": "5\n6\n", "log.2": "3\n4\n" });
  for (const name of ["log", "log.1", "log.2"]) {
    assertEquals((Deno.statSync(`${at.folder}/${name}`).mode ?? 0) & 0o777, 0o600);
  }
});

Deno.test("with no older files a full one is gone", () => {
  using at = setUp(4, 0);
  for (const line of ["1", "2", "3"]) at.file.write(line);
  assertEquals(at.files(), { "log": "3\n" });
});

Deno.test("a line that is longer than a file has one of its own", () => {
  using at = setUp(4, 3);
  for (const line of ["1", "long line", "2"]) at.file.write(line);
  assertEquals(at.files(), { "log": "2\n", "log.1": "long line\n", "log.2": "1\n" });
});

Deno.test("moved away by another: the next lines still go there, until it is opened again", () => {
  using at = setUp(100, 5);
  at.file.write("1");
  Deno.renameSync(at.path, `${at.path}-moved`);
  at.file.write("2");
  at.file.reopen();
  at.file.write("3");
  assertEquals(at.files(), { "log": "3\n", "log-moved": "1\n2\n" });
});

Deno.test("what cannot be written is said, and warned of once until it works again", () => {
  using at = setUp(100, 5);
  const blocked = () => {
    at.file.reopen();
    Deno.renameSync(at.path, `${at.path}-moved`);
    Deno.mkdirSync(at.path);
    const written = ["a", "b"].map((line) => at.file.write(line));
    Deno.removeSync(at.path);
    return written;
  };
  assertEquals(at.file.write("1"), true);
  assertEquals(blocked(), [false, false]);
  assertEquals(at.file.write("2"), true);
  assertEquals(blocked(), [false, false]);
  assertEquals(at.warnings.length, 2);
  assertEquals(at.files(), { "log-moved": "2\n" });
});
