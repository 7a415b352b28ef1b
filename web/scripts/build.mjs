// Build the static export into the Python package. Skips itself when no source has changed.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const web = path.resolve(import.meta.dirname, "..");
const exported = path.join(web, ".next-export");
const target = path.resolve(web, "../src/hypercode/gateway/_static");
const stamp = path.join(target, ".sources.sha256");
const NOT_SOURCES = new Set(["node_modules", ".next", ".next-export", "out", "next-env.d.ts", "tsconfig.tsbuildinfo"]);

function* files(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (NOT_SOURCES.has(entry.name) || entry.name.includes(".test.")) continue;
    const whole = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* files(whole);
    else yield whole;
  }
}

function hashOfSources() {
  const hash = createHash("sha256");
  for (const file of files(web)) {
    hash.update(path.relative(web, file));
    hash.update("\0");
    hash.update(readFileSync(file));
    hash.update("\0");
  }
  return hash.digest("hex");
}

const sources = hashOfSources();
if (!process.argv.includes("--force") && existsSync(stamp) && readFileSync(stamp, "utf8") === sources) {
  console.log("web: unchanged, nothing to build");
  process.exit(0);
}
const next = path.join(web, "node_modules/next/dist/bin/next");
execFileSync(process.execPath, [next, "build"], {
  cwd: web,
  stdio: "inherit",
  env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
});
// Filled beside the target and swapped in, so that a gateway never serves half a build.
const fresh = path.join(web, "out");
rmSync(fresh, { recursive: true, force: true });
cpSync(exported, fresh, { recursive: true });
writeFileSync(path.join(fresh, ".sources.sha256"), sources);
rmSync(target, { recursive: true, force: true });
renameSync(fresh, target);
console.log(`web: built into ${path.relative(process.cwd(), target)}`);
