// Connects to ADDRESS again and again, several at once, until stdin ends; then prints how many
// connections were echoed a byte, and how many were not.
import { dial, readExactly, writeAll } from "./echo.ts";

const AT_ONCE = 8;
const address = Deno.args[0] as string;
let over = false;
let good = 0;
const bad: string[] = [];

async function knock(): Promise<void> {
  while (!over) {
    try {
      using conn = await dial(address);
      await writeAll(conn, new Uint8Array([1]));
      await readExactly(conn, 1);
      good++;
      if (good === 100) console.log("knocking");
    } catch (error) {
      bad.push(String(error));
    }
  }
}

const knocking = Array.from({ length: AT_ONCE }, knock);
for await (const _ of Deno.stdin.readable);
over = true;
await Promise.all(knocking);
console.log(JSON.stringify({ good, bad }));
