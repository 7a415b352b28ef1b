// Gzipped JavaScript that each page loads at first, against its limit. Run after a build.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT_KB = { "task.html": 220 };
const PLAIN_LIMIT_KB = 190;
const PAGES = ["index.html", "login.html", "tasks.html", "task.html", "projects.html", "settings.html", "404.html"];
const folder = path.resolve(import.meta.dirname, "../../src/hypercode/gateway/_static");

let tooLarge = false;
for (const page of PAGES) {
  const html = readFileSync(path.join(folder, page), "utf8");
  const scripts = [...html.matchAll(/<script([^>]*) src="([^"]+)"([^>]*)>/g)].filter((match) => !/nomodule/i.test(match[0])).map((match) => match[2]);
  const files = [...new Set(scripts)].map((script) => path.join(folder, script)).filter(existsSync);
  const kilobytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0) / 1000;
  const limit = LIMIT_KB[page] ?? PLAIN_LIMIT_KB;
  tooLarge ||= kilobytes > limit;
  console.log(`${page.padEnd(16)} ${kilobytes.toFixed(1).padStart(7)} kB of ${limit}`);
}
process.exit(tooLarge ? 1 : 0);
